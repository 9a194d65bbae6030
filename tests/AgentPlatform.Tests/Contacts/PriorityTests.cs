using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Conversations;
using Npgsql;

namespace AgentPlatform.Tests.Contacts;

public sealed class PriorityTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-priorities-unique")]
    public async Task An_item_is_there_once_per_contact_and_its_type_is_known()
    {
        var item = _talk.Clock.NewId();
        await WriteAsync(new PriorityWrite(2, "intro_opportunity", item, "Meet Bo", 12.5m));
        await WriteAsync(new PriorityWrite(1, "intro_opportunity", item, "Meet Bo", 40m));

        var priority = Assert.Single(await TopAsync());
        Assert.Equal((1, 40m), (priority.PriorityRank, priority.ValueScore));
        Assert.Equal("validation_failed", (await _talk.DoAsync(tx => _talk.Platform.Get<Priorities>().WriteAsync(tx, _talk.Contact.Id, new PriorityWrite(1, "gift", item), default))).Problem!.Code);
        var twice = await Assert.ThrowsAsync<PostgresException>(() => _talk.ScalarAsync<Guid>(
            """
            INSERT INTO contacts.user_priorities (tenant_id, id, contact_id, priority_rank, item_type, item_id)
            SELECT tenant_id, gen_random_uuid(), contact_id, 9, item_type, item_id FROM contacts.user_priorities RETURNING id
            """));
        Assert.Equal("uq_priorities_item", twice.ConstraintName);
    }

    [Fact]
    [Behaviour("yp-priorities-presented")]
    public async Task What_was_presented_is_not_offered_again_and_what_has_expired_is_no_longer_active()
    {
        var shown = await WriteAsync(new PriorityWrite(1, "solution_update", _talk.Clock.NewId()));
        await WriteAsync(new PriorityWrite(2, "community_request", _talk.Clock.NewId(), ExpiresAt: _talk.Clock.GetUtcNow().AddHours(1)));
        var lasting = await WriteAsync(new PriorityWrite(3, "community_request", _talk.Clock.NewId()));
        Assert.Equal(3, (await TopAsync()).Count);

        await _talk.DoAsync(tx => _talk.Contacts.MarkPresented(tx, _talk.Contact.Id, shown.Id));
        _talk.Clock.Advance(TimeSpan.FromHours(2));

        Assert.Equal([lasting.Id], (await TopAsync()).Select(p => p.Id));
        var all = await _talk.DoAsync(tx => _talk.Platform.Get<Priorities>().ListAsync(tx, _talk.Contact.Id, default));
        Assert.Equal(["presented", "expired", "active"], all.Select(p => p.Status));
        Assert.NotNull(all[0].PresentedAt);
    }

    private async Task<ContactPriority> WriteAsync(PriorityWrite write) =>
        (await _talk.DoAsync(tx => _talk.Platform.Get<Priorities>().WriteAsync(tx, _talk.Contact.Id, write, default))).Value;

    private Task<IReadOnlyList<ContactPriority>> TopAsync() => _talk.DoAsync(tx => _talk.Contacts.TopPrioritiesAsync(tx, _talk.Contact.Id, default));
}
