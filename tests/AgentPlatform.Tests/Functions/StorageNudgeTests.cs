using AgentPlatform.Tests.LocalHost;
using Azure.Storage.Queues;

namespace AgentPlatform.Tests.Functions;

/// <summary>The functions app whose nudges go through Azure Storage.</summary>
public sealed class StorageNudgeTests(Azurite azurite) : IClassFixture<Azurite>
{
    [Fact]
    public async Task A_nudge_of_the_official_client_drains_the_work_and_a_lost_one_is_made_up_for_by_the_sweep()
    {
        await using var stage = await FunctionsStage.StartAsync(("AzureWebJobsStorage", azurite.ConnectionString));
        var queue = new QueueClient(azurite.ConnectionString, "work-ready", new QueueClientOptions { MessageEncoding = QueueMessageEncoding.Base64 });

        await stage.EnqueueUnnoticedAsync();
        await queue.SendMessageAsync("{}");
        Assert.Equal("payload", await stage.Inbox.NextAsync());
        Assert.Equal(0, await Eventually.SeeAsync(async () => (await queue.GetPropertiesAsync()).Value.ApproximateMessagesCount, seen => seen == 0));

        await stage.EnqueueUnnoticedAsync();
        Assert.Equal("payload", await stage.Inbox.NextAsync());
        Assert.Equal(2L, await Eventually.SeeAsync(
            () => stage.Database.ScalarAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'test.functions' AND state = 'done'"), seen => seen == 2));
    }
}
