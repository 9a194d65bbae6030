using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tests.Contacts;

public sealed class ContactDirectoryTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private Actor _tenant = null!;

    private ContactDirectory Directory => _platform.Get<ContactDirectory>();

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _tenant = await _platform.NewTenantAsync();
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    [Behaviour("yp-sms-find-or-create-user")]
    public async Task The_first_text_message_makes_an_unverified_contact_with_the_bouncer_and_the_second_finds_it()
    {
        var first = await SmsAsync("+1 (415) 555-0100");
        var second = await SmsAsync("+14155550100");

        Assert.Equal(first.Id, second.Id);
        Assert.Equal("+14155550100", first.PhoneNumber);
        Assert.False(first.Verified);
        Assert.Equal("bouncer", first.PocAgentType);
        Assert.Equal("member", first.StatusLevel);
        Assert.Equal("Ann", first.DisplayName);
    }

    [Theory]
    [Behaviour("ps-profile-get-or-create")]
    [InlineData("sms", "+14155550100")]
    [InlineData("email", "Ann@Example.com")]
    [InlineData("webhook", "customer-7")]
    public async Task First_messages_that_arrive_at_once_make_one_contact(string channel, string address)
    {
        var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => GetAsync(new ChannelAddress(channel, address))));

        Assert.Single(all.Select(c => c.Id).Distinct());
        Assert.Equal(1, await CountAsync("SELECT count(*) FROM contacts.customer_profiles"));
        Assert.Equal(1, await CountAsync("SELECT count(*) FROM contacts.channel_identities"));
    }

    [Fact]
    [Behaviour("ps-channel-identity-unique")]
    public async Task An_address_belongs_to_one_contact()
    {
        var first = await SmsAsync("+14155550100");
        var second = await SmsAsync("+14155550111");
        var belongings = _platform.Get<Belongings>();

        Assert.Equal("identity_taken", (await belongings.AddIdentityAsync(_tenant, second.Id, new NewIdentity("sms", "+14155550100", true), default)).Problem!.Code);
        Assert.True((await belongings.AddIdentityAsync(_tenant, first.Id, new NewIdentity("sms", "+14155550100", true), default)).Value.Verified);
        var doubled = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => CountAsync(
            """
            WITH copy AS (INSERT INTO contacts.channel_identities (tenant_id, id, profile_id, channel, channel_user_id)
                          SELECT tenant_id, gen_random_uuid(), profile_id, channel, channel_user_id FROM contacts.channel_identities RETURNING 1)
            SELECT count(*) FROM copy
            """));
        Assert.Equal("uq_channel_identity", doubled.ConstraintName);
    }

    [Theory]
    [Behaviour("brain-user-identifiers")]
    [InlineData("sms", "+14155550100")]
    [InlineData("email", "ann@example.com")]
    [InlineData("webhook", "customer-7")]
    public async Task An_address_is_one_contact_of_a_tenant_and_another_contact_of_another(string channel, string address)
    {
        var at = new ChannelAddress(channel, address);
        var other = await _platform.NewTenantAsync("Other");
        var mine = await GetAsync(at);
        var theirs = await _platform.AsAsync(other, tx => Directory.GetOrCreateAsync(tx, at, "Bob", default));

        Assert.NotEqual(mine.Id, theirs.Id);
        Assert.Equal((mine.Id, theirs.Id), ((await GetAsync(at)).Id, (await _platform.AsAsync(other, tx => Directory.FindByAddressAsync(tx, at, default)))!.Id));
        Assert.Null(await _platform.AsAsync(_tenant, tx => Directory.FindAsync(tx, theirs.Id, default)));
    }

    [Fact]
    public async Task What_cannot_be_an_address_of_its_channel_makes_no_contact()
    {
        foreach (var address in new[] { new ChannelAddress("sms", "call me"), new ChannelAddress("email", "ann"), new ChannelAddress("pigeon", "x"), new ChannelAddress("webhook", " ") })
        {
            await Assert.ThrowsAsync<ArgumentException>(() => GetAsync(address));
        }

        Assert.Equal(0, await CountAsync("SELECT count(*) FROM contacts.customer_profiles"));
    }

    private Task<Contact> SmsAsync(string number) => GetAsync(new ChannelAddress("sms", number));

    private Task<Contact> GetAsync(ChannelAddress address) => _platform.AsAsync(_tenant, tx => Directory.GetOrCreateAsync(tx, address, "Ann", default));

    private Task<long> CountAsync(string sql) => _platform.AsAsync(_tenant, tx => tx.SingleAsync<long>(sql, [], default));
}
