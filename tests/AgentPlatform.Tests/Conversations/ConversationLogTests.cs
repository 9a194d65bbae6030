using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Tests.Conversations;

public sealed class ConversationLogTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private Actor _tenant = null!;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _tenant = await _platform.NewTenantAsync();
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task Smoke()
    {
        await using var tx = _platform.Database.Begin(_tenant);
        var agent = await _platform.Get<AgentDirectory>().DefaultAsync(tx, default);
        var contact = await _platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", "+14155550100"), null, default);
        var log = _platform.Get<ConversationLog>();
        var conversation = await log.OpenAsync(tx, new OpenConversation(contact.Id, agent.Id, "sms", "+14155550100", null), default);
        log.Append(tx, new NewMessage(TimeProvider.System.NewId(), conversation.Id, contact.Id, "user", "inbound", "hello"));
        var context = await log.LoadAsync(tx, conversation.Id, default);
        Assert.Equal("hello", Assert.Single(context.Messages).Content);
        var sessions = _platform.Get<SessionStore>();
        var s = await sessions.LoadOrStartAsync(tx, conversation.Id, agent.Id, contact.Id, new ChannelAddress("sms", "+14155550100"), default);
        await sessions.SaveAsync(tx, s, default);
        _platform.Get<TurnLog>().Append(tx, new TurnRecord(TimeProvider.System.NewId(), s.SessionId, conversation.Id, s.NextTurnNumber, "hello"));
        await tx.CommitAsync(default);
    }
}
