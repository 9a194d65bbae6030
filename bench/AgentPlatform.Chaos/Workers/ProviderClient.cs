using System.Globalization;
using System.Net;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Chaos.Workers;

/// <summary>Calls the fake providers over HTTP.</summary>
internal sealed class ProviderClient(IConfiguration configuration, TimeProvider clock) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = new Uri(configuration["Chaos:Provider"]!), Timeout = TimeSpan.FromSeconds(10) };

    /// <summary>A call that has not left by then does not leave, and a connection idle for as long is hung up on by the provider.</summary>
    private readonly TimeSpan _patience = TimeSpan.FromSeconds(double.Parse(configuration["Chaos:PatienceSeconds"]!, CultureInfo.InvariantCulture));

    /// <summary>How long after its intent a call may still have an effect.</summary>
    internal TimeSpan InFlight => (_patience * 2) + TimeSpan.FromSeconds(1);

    internal async Task SendKeyedAsync(string reference, string key, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"keyed/{reference}");
        request.Headers.Add("Idempotency-Key", key);
        using var response = await _http.SendAsync(request, ct);
        response.EnsureSuccessStatusCode();
    }

    internal async Task<bool> KnowsAsync(string reference, CancellationToken ct)
    {
        using var response = await _http.GetAsync($"unkeyed/{reference}", ct);
        return response.StatusCode == HttpStatusCode.OK
            || (response.StatusCode == HttpStatusCode.NotFound ? false : throw new HttpRequestException($"The provider answered {response.StatusCode}."));
    }

    /// <summary>Starts the clock of a call that is about to be recorded.</summary>
    internal UnkeyedCall Prepare() => new(_http, clock, clock.GetTimestamp(), _patience);

    public void Dispose() => _http.Dispose();
}

/// <summary>One call without a key: it leaves within the patience, or not at all.</summary>
internal sealed class UnkeyedCall(HttpClient http, TimeProvider clock, long prepared, TimeSpan patience)
{
    /// <summary>False when the worker was held up for so long that the call did not leave.</summary>
    internal async Task<bool> SendAsync(string reference, CancellationToken ct)
    {
        using var content = new PunctualContent(clock, prepared, patience);
        try
        {
            using var response = await http.PostAsync($"unkeyed/{reference}", content, ct);
            response.EnsureSuccessStatusCode();
            return true;
        }
        catch (HttpRequestException) when (content.IsLate)
        {
            return false;
        }
    }

    /// <summary>
    /// Asked for on the connection that will carry it, in the last moment before it leaves, and again when the client repeats a call on
    /// a fresh connection: a process that was stopped meanwhile sends half a request, which the provider never acts on.
    /// </summary>
    private sealed class PunctualContent(TimeProvider clock, long prepared, TimeSpan patience) : HttpContent
    {
        private static readonly byte[] Body = "{}"u8.ToArray();

        internal bool IsLate { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            if (clock.GetElapsedTime(prepared) > patience)
            {
                IsLate = true;
                throw new HttpRequestException("The worker was held up before the call.");
            }

            await stream.WriteAsync(Body);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = Body.Length;
            return true;
        }
    }
}
