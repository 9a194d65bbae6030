using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.LocalHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.Actions;

public sealed class EndpointSecretTests
{
    [Fact]
    public async Task An_address_that_holds_a_secret_is_called_and_never_logged()
    {
        using var log = new RecordingLog();
        var ping = new ActionDefinition
        {
            ActionId = "ping",
            ActionName = "ping the server",
            ExecutionType = "http",
            ApiMethod = "POST",
            ApiEndpoint = "{endpoint}/hooks/s3cr3t-token",
            ResponseTemplate = "pong",
        };
        await using var talk = await Talk.StartAsync(services => services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log)), ping);
        talk.Endpoint.Answers(200, "{}");

        Assert.Equal("pong", await talk.SayAsync("ping the server"));

        Assert.Contains("turn", log.Text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("s3cr3t", log.Text, StringComparison.Ordinal);
    }
}
