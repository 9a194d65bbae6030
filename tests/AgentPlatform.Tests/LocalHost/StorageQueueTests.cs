using AgentPlatform.LocalHost.Queues;
using Azure.Storage.Queues;

namespace AgentPlatform.Tests.LocalHost;

public sealed class StorageQueueTests(Azurite azurite) : MessageQueueConformance, IClassFixture<Azurite>
{
    [Theory]
    [InlineData("base64", QueueMessageEncoding.Base64)]
    [InlineData("none", QueueMessageEncoding.None)]
    public async Task A_message_of_the_official_client_runs_a_function(string encoding, QueueMessageEncoding clientEncoding)
    {
        var name = $"official-{encoding}";
        var inbox = new Inbox();
        await using var app = await LocalHostApp.StartAsync(QueueFunctionTests.Host(inbox, typeof(Official)) with
        {
            HostJson = $$"""{ "extensions": { "queues": { "messageEncoding": "{{encoding}}", "maxPollingInterval": "00:00:00.200" } } }""",
            Settings = [("AzureWebJobsStorage", azurite.ConnectionString), ("OfficialQueue", name)],
        });
        var client = new QueueClient(azurite.ConnectionString, name, new QueueClientOptions { MessageEncoding = clientEncoding });

        await client.SendMessageAsync("""{"text":"grüße"}""");

        Assert.Equal("""{"text":"grüße"}""", await inbox.NextAsync());
        Assert.Equal(0, await Eventually.SeeAsync(async () => (await client.GetPropertiesAsync()).Value.ApproximateMessagesCount, seen => seen == 0));
        Assert.Equal(0L, await app.Database.ScalarAsync<long>("SELECT count(*) FROM localhost.queue_messages"));
    }

    [Fact]
    public async Task A_message_that_always_fails_ends_in_the_poison_queue_of_the_account()
    {
        var inbox = new Inbox { Fails = true };
        await using var app = await LocalHostApp.StartAsync(QueueFunctionTests.Host(inbox, typeof(Official)) with
        {
            HostJson = """{ "extensions": { "queues": { "maxDequeueCount": 2, "maxPollingInterval": "00:00:00.200" } } }""",
            Settings = [("AzureWebJobsStorage", azurite.ConnectionString), ("OfficialQueue", "failing")],
        });
        var options = new QueueClientOptions { MessageEncoding = QueueMessageEncoding.Base64 };
        await new QueueClient(azurite.ConnectionString, "failing", options).SendMessageAsync("bad");
        var poison = new QueueClient(azurite.ConnectionString, "failing-poison", options);

        var found = await Eventually.SeeAsync(
            async () => (await poison.ExistsAsync()).Value ? (await poison.PeekMessagesAsync(5)).Value : [], seen => seen.Length > 0);

        Assert.Equal("bad", Assert.Single(found).MessageText);
        Assert.Equal(2, inbox.Count);
    }

    private protected override IMessageQueue Open(string name) => new StorageQueue(name, azurite.ConnectionString, TimeProvider.System);

    public sealed class Official(Inbox inbox)
    {
        [AgentPlatform.LocalHost.Function("Official")]
        public Task RunAsync([AgentPlatform.LocalHost.QueueTrigger("%OfficialQueue%")] string message) => inbox.TakeAsync(message);
    }
}
