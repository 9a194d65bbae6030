using AgentPlatform.LocalHost.Queues;
using AgentPlatform.Tests.Sandbox;
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

    [Theory]
    [InlineData("base64")]
    [InlineData("none")]
    public async Task A_message_of_npms_official_client_runs_a_function_and_its_poison_is_read_by_that_client(string encoding)
    {
        var name = $"npm-{encoding}";
        var inbox = new Inbox();
        await using var app = await LocalHostApp.StartAsync(QueueFunctionTests.Host(inbox, typeof(Official)) with
        {
            HostJson = $$"""{ "extensions": { "queues": { "messageEncoding": "{{encoding}}", "maxDequeueCount": 1, "maxPollingInterval": "00:00:00.200" } } }""",
            Settings = [("AzureWebJobsStorage", azurite.ConnectionString), ("OfficialQueue", name)],
        });

        await NpmAsync(name, encoding, send: "grüße");
        Assert.Equal("grüße", await inbox.NextAsync());

        inbox.Fails = true;
        await NpmAsync(name, encoding, send: "gift");
        Assert.Equal("gift", await Eventually.SeeAsync(() => NpmAsync($"{name}-poison", encoding, send: null), seen => seen is not null));
    }

    [Fact]
    public async Task Two_hosts_compete_for_messages_and_each_runs_once()
    {
        var inbox = new Inbox();
        var options = QueueFunctionTests.Host(inbox, typeof(Official)) with
        {
            HostJson = """{ "extensions": { "queues": { "batchSize": 4, "maxPollingInterval": "00:00:00.100" } } }""",
            Settings = [("AzureWebJobsStorage", azurite.ConnectionString), ("OfficialQueue", "shared")],
        };
        await using var first = await LocalHostApp.StartAsync(options);
        await using var second = await LocalHostApp.StartAsync(options);
        var client = new QueueClient(azurite.ConnectionString, "shared", new QueueClientOptions { MessageEncoding = QueueMessageEncoding.Base64 });
        var sent = Enumerable.Range(0, 60).Select(i => $"{i}").ToList();
        await Parallel.ForEachAsync(sent, async (text, ct) => await client.SendMessageAsync(text, ct));

        var ran = new List<string>();
        while (ran.Count < sent.Count)
        {
            ran.Add($"{await inbox.NextAsync()}");
        }

        Assert.Equal(0, await Eventually.SeeAsync(async () => (await client.GetPropertiesAsync()).Value.ApproximateMessagesCount, seen => seen == 0));
        Assert.Equal(sent.Order(StringComparer.Ordinal), ran.Order(StringComparer.Ordinal));
        Assert.Equal(sent.Count, inbox.Count);
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

    /// <summary>Sends when there is something to send, else reads one; that client leaves the encoding to its caller.</summary>
    private async Task<string?> NpmAsync(string queue, string encoding, string? send)
    {
        const string Script =
            """
            import { QueueClient } from '@azure/storage-queue';
            const input = JSON.parse(await new Response(process.stdin).text());
            const client = new QueueClient(input.connection, input.queue);
            const code = (text, from, to) => input.encoding === 'base64' ? Buffer.from(text, from).toString(to) : text;
            let answer = null;
            if (input.send) {
                await client.sendMessage(code(input.send, 'utf8', 'base64'));
            } else if (await client.exists()) {
                const [message] = (await client.receiveMessages()).receivedMessageItems;
                answer = message ? code(message.messageText, 'base64', 'utf8') : null;
            }
            console.log(JSON.stringify(answer));
            """;
        return (await Witness.AskAsync(Script, new { connection = azurite.ConnectionString, queue, encoding, send })).GetString();
    }

    private protected override IMessageQueue Open(string name) => new StorageQueue(name, azurite.ConnectionString, TimeProvider.System);

    public sealed class Official(Inbox inbox)
    {
        [AgentPlatform.LocalHost.Function("Official")]
        public Task RunAsync([AgentPlatform.LocalHost.QueueTrigger("%OfficialQueue%")] string message) => inbox.TakeAsync(message);
    }
}
