using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Conversations;

namespace AgentPlatform.Tests.Contacts;

public sealed class MergeContactsTests : IAsyncLifetime
{
    private static readonly ChannelAddress Email = new("email", "ann@example.com");

    private Talk _talk = null!;
    private Contact _other = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.BeginAsync();
        _other = await GetAsync(Email);
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-profile-merge")]
    public async Task What_belongs_to_the_merged_profile_moves_to_the_survivor_and_look_ups_find_it()
    {
        await _talk.HearAsync("hello");
        await SetAsync(_talk.Contact.Id, "company", "Siemens");
        await SetAsync(_talk.Contact.Id, "first_name", "Anne");
        await SetAsync(_other.Id, "first_name", "Ann");
        var belongings = _talk.Platform.Get<Belongings>();
        await belongings.AddAssetAsync(_talk.Tenant, _talk.Contact.Id, new NewAsset("cv", "https://files.example/cv.pdf", null), default);
        await belongings.WritePriorityAsync(_talk.Tenant, _talk.Contact.Id, new PriorityWrite(1, "solution_update", _talk.Clock.NewId()), default);
        await _talk.Platform.AsAsync(_talk.Tenant, tx => _talk.Contacts.SetConsentAsync(tx, _talk.Contact.Id, "sms", true, "keyword:STOP", default));

        var survivor = (await MergeAsync(_talk.Contact.Id, _other.Id)).Value;

        Assert.Equal((_other.Id, Talk.Number, "ann@example.com", "Siemens", "Ann"), (survivor.Id, survivor.PhoneNumber, survivor.Email, survivor.Company, survivor.FirstName));
        Assert.Equal(_other.Id, (await FindAsync(_talk.Contact.Id))!.Id);
        Assert.Equal(_other.Id, (await GetAsync(Talk.Address)).Id);
        Assert.Equal(_other.Id, (await _talk.ReadAsync()).ContactId);
        Assert.Equal(_talk.Conversation.Id, (await _talk.OpenAsync(_other.Id)).Id);
        var read = _talk.Platform.Get<ReadContacts>();
        var identities = await read.OfAsync(_talk.Tenant, _other.Id, ReadContacts.IdentitiesAsync, default);
        Assert.Equal(["email", "sms"], identities.Value.Items.Select(i => i.Channel).Order());
        var names = await _talk.DoAsync(tx => _talk.Platform.Get<ProfileFields>().HistoryAsync(tx, _other.Id, "first_name", default));
        Assert.Equal(["Ann", "Anne"], names.Select(f => f.FieldValue).Order());
        Assert.Equal("Ann", Assert.Single(names, f => f.ValidTo is null).FieldValue);
        Assert.Single((await read.OfAsync(_talk.Tenant, _other.Id, (tx, id, ct) => ReadContacts.AssetsAsync(tx, id, null, ct), default)).Value.Items);
        Assert.Single(await _talk.DoAsync(tx => _talk.Platform.Get<Priorities>().ListAsync(tx, _other.Id, default)));
        Assert.True(await _talk.DoAsync(tx => _talk.Contacts.IsOptedOutAsync(tx, _other.Id, "sms", default)));
    }

    [Fact]
    [Behaviour("ps-profile-merge-cycle")]
    public async Task A_profile_is_not_merged_into_itself_nor_into_its_descendants_and_chains_are_followed_to_the_end()
    {
        var third = await GetAsync(new ChannelAddress("webhook", "c-3"));
        Assert.Equal("merge_cycle", (await MergeAsync(third.Id, third.Id)).Problem!.Code);

        await MergeAsync(_talk.Contact.Id, _other.Id);
        Assert.Equal("merge_cycle", (await MergeAsync(_other.Id, _talk.Contact.Id)).Problem!.Code);
        Assert.Equal("already_merged", (await MergeAsync(_talk.Contact.Id, third.Id)).Problem!.Code);

        await MergeAsync(_other.Id, third.Id);
        Assert.Equal(third.Id, (await FindAsync(_talk.Contact.Id))!.Id);
        Assert.Equal("merge_cycle", (await MergeAsync(third.Id, _talk.Contact.Id)).Problem!.Code);
    }

    [Fact]
    [Behaviour("ps-profile-merge-cycle")]
    public async Task Two_opposite_merges_at_once_make_no_circle()
    {
        var both = await Task.WhenAll(MergeAsync(_talk.Contact.Id, _other.Id), MergeAsync(_other.Id, _talk.Contact.Id));

        Assert.Single(both, r => r.IsOk);
        Assert.Equal(1L, await _talk.ScalarAsync<long>("SELECT count(*) FROM contacts.customer_profiles WHERE merged_into_id IS NULL"));
    }

    [Fact]
    [Behaviour("ps-profile-external-id", "ps-partial-unique-ddl")]
    public async Task An_external_id_is_unique_when_present_and_goes_along_with_a_merge()
    {
        var edit = _talk.Platform.Get<EditContact>();
        Assert.True((await edit.PatchAsync(_talk.Tenant, _talk.Contact.Id, Json.Of(new { external_id = "crm-1" }), default, default)).IsOk);
        Assert.Equal("external_id_taken", (await edit.PatchAsync(_talk.Tenant, _other.Id, Json.Of(new { external_id = "crm-1" }), default, default)).Problem!.Code);
        Assert.Equal(1L, await _talk.ScalarAsync<long>("SELECT count(*) FROM contacts.customer_profiles WHERE external_id IS NULL"));
        await GetAsync(new ChannelAddress("webhook", "none-1"));
        Assert.Equal(2L, await _talk.ScalarAsync<long>("SELECT count(*) FROM contacts.customer_profiles WHERE external_id IS NULL"));

        Assert.Equal("crm-1", (await MergeAsync(_talk.Contact.Id, _other.Id)).Value.ExternalId);
    }

    [Fact]
    [Behaviour("ps-cascade-policy")]
    public async Task A_profile_with_children_cannot_be_deleted()
    {
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() =>
            _talk.ScalarAsync<Guid>("DELETE FROM contacts.customer_profiles WHERE id = $1 RETURNING id", _other.Id));
        Assert.Equal("identity_profile", refused.ConstraintName);
        foreach (var child in new[] { "channel_identities", "profile_fields", "profile_assets" })
        {
            Assert.True(await _talk.ScalarAsync<bool>(
                "SELECT bool_and(confdeltype = 'a') FROM pg_constraint WHERE conrelid = ('contacts.' || $1)::regclass AND confrelid = 'contacts.customer_profiles'::regclass", child), child);
        }
    }

    [Fact]
    public async Task A_contact_of_another_tenant_does_not_exist()
    {
        var stranger = await _talk.Platform.NewTenantAsync("Other");

        Assert.Equal("contact_not_found", (await _talk.Platform.Get<MergeContacts>().HandleAsync(stranger, _talk.Contact.Id, _other.Id, default)).Problem!.Code);
    }

    [Fact]
    public async Task What_the_member_who_merges_may_not_see_moves_too()
    {
        await _talk.HearAsync("hello");
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE conversations.conversations SET shared = false, user_id = $1 RETURNING id", _talk.Owner.UserId);
        var colleague = await _talk.Platform.Postgres.ScalarAsync<Guid>("INSERT INTO identity.users (id, email) VALUES (gen_random_uuid(), 'colleague@example.test') RETURNING id");
        var member = new AgentPlatform.Postgres.Actor(_talk.Tenant.TenantId, colleague, "member");

        Assert.True((await _talk.Platform.Get<MergeContacts>().HandleAsync(member, _talk.Contact.Id, _other.Id, default)).IsOk);

        Assert.Equal(_other.Id, (await _talk.ReadAsync()).ContactId);
    }

    [Fact]
    public async Task Only_a_value_outweighs_another_and_column_and_field_agree()
    {
        await SetAsync(_talk.Contact.Id, "first_name", "Anne");
        await SetAsync(_talk.Contact.Id, "email", "anne@other.example");
        await SetAsync(_other.Id, "first_name", "Ann");
        await SetAsync(_other.Id, "first_name", null);

        var survivor = (await MergeAsync(_talk.Contact.Id, _other.Id)).Value;

        Assert.Equal(("Anne", "ann@example.com"), (survivor.FirstName, survivor.Email));
        var fields = await _talk.DoAsync(tx => _talk.Contacts.FieldsAsync(tx, _other.Id, default));
        Assert.Equal("Anne", Assert.Single(fields).FieldValue);
    }

    [Fact]
    public async Task A_profile_that_is_erased_is_filled_by_nobody()
    {
        await _talk.Platform.Postgres.ScalarAsync<Guid>("UPDATE contacts.customer_profiles SET erased_at = now() WHERE id = $1 RETURNING id", _other.Id);

        await _talk.DoAsync(tx => _talk.Contacts.RecordActivity(tx, _other.Id, _talk.Clock.GetUtcNow()));
        await _talk.DoAsync(async tx =>
        {
            await _talk.Contacts.MarkVerifiedAsync(tx, _other.Id, null, default);
            return await _talk.Contacts.SetFieldAsync(tx, _other.Id, new FieldWrite("company", "Siemens", "SYSTEM"), default);
        });
        await _talk.Platform.Get<EditContact>().PatchAsync(_talk.Tenant, _other.Id, Json.Of(new { display_name = "Ann" }), default, default);

        Assert.True(await _talk.ScalarAsync<bool>(
            "SELECT last_active_at IS NULL AND response_pattern = '{}' AND NOT verified AND company IS NULL AND display_name IS NULL FROM contacts.customer_profiles WHERE id = $1", _other.Id));
    }

    private Task<Contact> GetAsync(ChannelAddress address) => _talk.DoAsync(tx => _talk.Contacts.GetOrCreateAsync(tx, address, null, default));

    private Task<Contact?> FindAsync(Guid id) => _talk.DoAsync(tx => _talk.Contacts.FindAsync(tx, id, default));

    private Task SetAsync(Guid id, string name, string? value) => _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, id, new FieldWrite(name, value, "USER_PROVIDED"), default));

    private Task<Result<Contact>> MergeAsync(Guid from, Guid into) => _talk.Platform.Get<MergeContacts>().HandleAsync(_talk.Tenant, from, into, default);
}
