using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Conversations;

/// <summary>A clock that stands still until a test moves it, and by a millisecond at each look, so that ids stay in order.</summary>
internal sealed class StillClock(DateTimeOffset start) : TimeProvider
{
    private long _ticks = start.UtcTicks;

    public override DateTimeOffset GetUtcNow() => new(Interlocked.Add(ref _ticks, TimeSpan.TicksPerMillisecond), TimeSpan.Zero);

    internal void Advance(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);
}

/// <summary>A tenant with an agent, a contact and their conversation by SMS.</summary>
internal sealed class Talk : IAsyncDisposable
{
    internal const string Number = "+14155550100";

    internal static readonly ChannelAddress Address = new(ChannelAddress.Sms, Number);

    private Talk(TestPlatform platform, StillClock clock, Actor tenant, Actor owner, Guid agentId, Contact contact, Conversation conversation) =>
        (Platform, Clock, Tenant, Owner, AgentId, Contact, Conversation) = (platform, clock, tenant, owner, agentId, contact, conversation);

    internal TestPlatform Platform { get; }

    internal StillClock Clock { get; }

    /// <summary>The platform at work for the tenant.</summary>
    internal Actor Tenant { get; }

    /// <summary>The tenant's owner, a person.</summary>
    internal Actor Owner { get; }

    internal Guid AgentId { get; }

    internal Contact Contact { get; }

    internal Conversation Conversation { get; }

    internal ConversationLog Log => Platform.Get<ConversationLog>();

    internal ContactDirectory Contacts => Platform.Get<ContactDirectory>();

    internal SessionStore Sessions => Platform.Get<SessionStore>();

    internal static async Task<Talk> BeginAsync(Action<IServiceCollection>? configure = null, params (string Key, string Value)[] settings)
    {
        var clock = new StillClock(TimeProvider.System.GetUtcNow());
        var platform = await TestPlatform.StartAsync(services =>
        {
            services.AddSingleton<TimeProvider>(clock);
            configure?.Invoke(services);
        }, settings);
        var provisioned = await platform.ProvisionAsync();
        var tenant = Actor.System(provisioned.TenantId);
        var contact = await platform.AsAsync(tenant, tx => platform.Get<ContactDirectory>().GetOrCreateAsync(tx, Address, null, default));
        var conversation = await platform.AsAsync(tenant, tx => platform.Get<ConversationLog>().OpenAsync(
            tx, new OpenConversation(contact.Id, provisioned.AgentId, Address.Channel, Address.Address, null), default));
        return new Talk(platform, clock, tenant, new Actor(provisioned.TenantId, provisioned.OwnerId, "owner"), provisioned.AgentId, contact, conversation);
    }

    public ValueTask DisposeAsync() => Platform.DisposeAsync();

    internal Task<T> DoAsync<T>(Func<Transaction, Task<T>> work) => Platform.AsAsync(Tenant, work);

    internal Task DoAsync(Action<Transaction> work) => Platform.AsAsync(Tenant, async tx =>
    {
        work(tx);
        await tx.ExecuteAsync("SELECT 1", [], default);
    });

    internal Task<T> ScalarAsync<T>(string sql, params object?[] args) => DoAsync(tx => tx.SingleAsync<T>(sql, args, default));

    internal Task<Conversation> OpenAsync(Guid? contactId = null, string number = Number) =>
        DoAsync(tx => Log.OpenAsync(tx, new OpenConversation(contactId ?? Contact.Id, AgentId, ChannelAddress.Sms, number, null), default));

    internal Task<Conversation> ReadAsync(Guid? id = null) => DoAsync(async tx => (await Log.FindAsync(tx, id ?? Conversation.Id, default))!);

    internal Task<ConversationContext> LoadAsync() => DoAsync(tx => Log.LoadAsync(tx, Conversation.Id, default));

    internal NewMessage Message(string role, string direction, string text) =>
        new(Clock.NewId(), Conversation.Id, Contact.Id, role, direction, text) { CreatedAt = Clock.GetUtcNow() };

    internal async Task<Guid> HearAsync(string text) => await AppendAsync(Message("user", "inbound", text));

    internal async Task<Guid> SayAsync(string text, string role = "bouncer", string? status = "pending") =>
        await AppendAsync(Message(role, "outbound", text) with { Status = status });

    internal async Task<Guid> AppendAsync(NewMessage message)
    {
        await DoAsync(tx => Log.Append(tx, message));
        return message.Id;
    }

    internal Task<ConversationSession> SessionAsync() =>
        DoAsync(tx => Sessions.LoadOrStartAsync(tx, Conversation.Id, AgentId, Contact.Id, Address, default));

    internal Task SaveAsync(ConversationSession session) => Platform.AsAsync(Tenant, tx =>
    {
        Sessions.Save(tx, session);
        return Task.CompletedTask;
    });
}
