using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Tasks;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Tasks;

/// <summary>A request that came in by text message: the task knows the way back.</summary>
public sealed class BoardIntakeTests : IAsyncLifetime
{
    private const string Number = "+14155550100";
    private ChannelStage _stage = null!;

    public async Task InitializeAsync() => _stage = await ChannelStage.StartAsync(services => services.ReplaceTurn<TurnHandler>());

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Theory]
    [Behaviour("bb-conversation-auto-task")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_task_carries_its_message_webhook_and_conversation_and_the_message_its_task(bool confirm)
    {
        var channel = await _stage.SmsChannelAsync();
        await _stage.Platform.Get<ManageAgents>().ConfigureAsync(_stage.System, _stage.Tenant.AgentId, new AgentConfig(null, AutoCreateTasks: true), IfMatch.Any, default);
        await _stage.TextAsync(channel, Number, "hello");
        await _stage.SettleAsync();
        await _stage.Platform.AsAsync(_stage.System, tx => tx.ExecuteAsync("UPDATE conversations.conversations SET require_confirmation = $1", [confirm], default));

        await _stage.TextAsync(channel, Number, "please send me a printed contract", "SM_request");
        await _stage.SettleAsync();
        if (confirm)
        {
            Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM tasks.agency_tasks"));
            await _stage.TextAsync(channel, Number, "yes");
            await _stage.SettleAsync();
        }

        var task = await _stage.Platform.AsAsync(_stage.System, tx => tx.SingleAsync<AgencyTask>("SELECT * FROM tasks.agency_tasks", [], default));
        Assert.Equal((await _stage.ValueAsync<Guid>("SELECT id FROM channels.inbound_messages WHERE external_message_id = 'SM_request'"), channel.Id), (task.SourceMessageId, task.SourceWebhookId));
        Assert.Equal((await _stage.ValueAsync<Guid>("SELECT id FROM conversations.conversations"), "please send me a printed contract"), (task.ConversationId, task.OriginalMessage));
        Assert.Equal(task.Id, await _stage.ValueAsync<Guid>("SELECT task_id FROM channels.inbound_messages WHERE external_message_id = 'SM_request'"));

        await _stage.Platform.AsAsync(_stage.System, tx => _stage.Platform.Get<SettleTask>().CompletedAsync(tx, task, Kernel.Json.Of(new { }), "It is in the post.", default));
        await _stage.SettleAsync();
        Assert.Equal(task.Id, await _stage.ValueAsync<Guid>("SELECT task_id FROM channels.outbound_messages WHERE task_id IS NOT NULL"));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM conversations.messages WHERE direction = 'outbound' AND content LIKE 'Done: please send me%It is in the post.'"));
    }
}
