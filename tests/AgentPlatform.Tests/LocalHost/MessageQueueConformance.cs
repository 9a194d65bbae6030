using AgentPlatform.LocalHost.Queues;

namespace AgentPlatform.Tests.LocalHost;

/// <summary>What every kind of queue must do; each kind runs all of it.</summary>
public abstract class MessageQueueConformance
{
    private static readonly TimeSpan Hidden = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_sent_message_is_received_once_while_it_is_hidden()
    {
        var queue = await NewQueueAsync();
        await queue.SendAsync("hello", default);

        var message = Assert.Single(await queue.ReceiveAsync(10, Hidden, default));

        Assert.Equal(("hello", 1L), (message.Text, message.DequeueCount));
        Assert.Empty(await queue.ReceiveAsync(10, Hidden, default));
    }

    [Fact]
    public async Task Receive_takes_no_more_than_asked_for()
    {
        var queue = await NewQueueAsync();
        for (var i = 0; i < 5; i++)
        {
            await queue.SendAsync($"{i}", default);
        }

        var first = await queue.ReceiveAsync(3, Hidden, default);
        var second = await queue.ReceiveAsync(3, Hidden, default);

        Assert.Equal((3, 2), (first.Count, second.Count));
        Assert.Equal(["0", "1", "2", "3", "4"], first.Concat(second).Select(m => m.Text).Order());
    }

    [Fact]
    public async Task A_message_shown_again_counts_its_dequeues_and_changes_its_receipt()
    {
        var queue = await NewQueueAsync();
        await queue.SendAsync("again", default);
        var first = Assert.Single(await queue.ReceiveAsync(1, Hidden, default));

        Assert.NotNull(await queue.HideAsync(first, TimeSpan.Zero, default));
        var second = Assert.Single(await queue.ReceiveAsync(1, Hidden, default));

        Assert.Equal((first.Id, 2L), (second.Id, second.DequeueCount));
        Assert.False(await queue.DeleteAsync(first, default));
        Assert.Null(await queue.HideAsync(first, Hidden, default));
        Assert.True(await queue.DeleteAsync(second, default));
        Assert.Empty(await queue.ReceiveAsync(1, Hidden, default));
    }

    [Fact]
    public async Task Hiding_longer_gives_the_receipt_to_go_on_with()
    {
        var queue = await NewQueueAsync();
        await queue.SendAsync("long", default);
        var message = Assert.Single(await queue.ReceiveAsync(1, Hidden, default));

        var receipt = await queue.HideAsync(message, Hidden, default);

        Assert.NotNull(receipt);
        Assert.Empty(await queue.ReceiveAsync(1, Hidden, default));
        Assert.True(await queue.DeleteAsync(message with { PopReceipt = receipt }, default));
    }

    [Fact]
    public async Task A_moved_message_is_in_the_other_queue_only()
    {
        var queue = await NewQueueAsync();
        await queue.SendAsync("bad", default);
        var message = Assert.Single(await queue.ReceiveAsync(1, Hidden, default));
        var target = $"{queue.Name}-poison";

        await queue.MoveAsync(message, target, default);

        var moved = Assert.Single(await Open(target).ReceiveAsync(10, Hidden, default));
        Assert.Equal(("bad", 1L), (moved.Text, moved.DequeueCount));
        Assert.True(moved.ExpiresOn > TimeProvider.System.GetUtcNow().AddYears(50));
        Assert.Null(await queue.HideAsync(message, TimeSpan.Zero, default));
        Assert.Empty(await queue.ReceiveAsync(10, Hidden, default));
    }

    private protected abstract IMessageQueue Open(string name);

    private async Task<IMessageQueue> NewQueueAsync()
    {
        var queue = Open($"test-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}");
        await queue.PrepareAsync(default);
        return queue;
    }
}
