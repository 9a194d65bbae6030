using AgentPlatform.Functions;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.Workflows;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>What the host offers beyond the functions' bindings, and what it is told about leases.</summary>
public sealed class OfferTests
{
    [Fact]
    public async Task A_host_that_has_run_no_function_wakes_workflows()
    {
        await using var app = await DurableApp.StartAsync();
        await using var services = new ServiceCollection()
            .AddSingleton(app.App.Services.GetRequiredService<DurableTaskClient>()).AddDurableWorkflows().BuildServiceProvider();
        var workflow = new WorkflowRef(Guid.CreateVersion7(TimeProvider.System.GetUtcNow()), Guid.CreateVersion7(TimeProvider.System.GetUtcNow()));

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await services.GetRequiredService<IWorkflowRuntime>().WakeAsync(workflow, patience.Token);

        Assert.Equal("RunWorkflow", (await app.Client.GetInstanceAsync(workflow.InstanceId.ToString("n")))?.Name);
    }

    [Fact]
    public void How_long_a_killed_hosts_work_rests_is_told_by_host_json()
    {
        Assert.Equal(TimeSpan.FromSeconds(30), Lease(null));
        Assert.Equal(TimeSpan.FromSeconds(4), Lease("00:00:04"));
        Assert.Contains("taskEventLockTimeout", Assert.Throws<SettingException>(() => Lease("soon")).Message, StringComparison.Ordinal);
    }

    private static TimeSpan Lease(string? said) => HostJson.Read(
        Path.GetTempPath(), new ConfigurationBuilder().AddInMemoryCollection([new("AzureFunctionsJobHost:extensions:durableTask:storageProvider:taskEventLockTimeout", said)]).Build()).Durable.Lease;
}
