using Microsoft.Extensions.Options;

namespace AgentPlatform.Work;

/// <summary>Forgets finished work after <see cref="WorkOptions.RetentionDays"/>; dead items stay until a person decides.</summary>
public sealed class WorkRetention
{
    private readonly WorkLeases _leases;
    private readonly IOptions<WorkOptions> _options;

    internal WorkRetention(WorkLeases leases, IOptions<WorkOptions> options)
    {
        _leases = leases;
        _options = options;
    }

    public Task<int> PruneAsync(CancellationToken ct) => _leases.PruneAsync(TimeSpan.FromDays(_options.Value.RetentionDays), ct);
}
