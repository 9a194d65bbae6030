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

    [Fact, Behaviour("yp-sms-find-or-create-user")]
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

    [Theory, Behaviour("ps-profile-get-or-create")]
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

    private Task<Contact> SmsAsync(string number) => GetAsync(new ChannelAddress("sms", number));

    private Task<Contact> GetAsync(ChannelAddress address) => _platform.AsAsync(_tenant, tx => Directory.GetOrCreateAsync(tx, address, "Ann", default));

    private Task<long> CountAsync(string sql) => _platform.AsAsync(_tenant, tx => tx.SingleAsync<long>(sql, [], default));
}
