using AgentPlatform.Contacts;
using AgentPlatform.Tests.Conversations;
using Npgsql;

namespace AgentPlatform.Tests.Contacts;

public sealed class ConsentTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    public async Task The_newest_word_on_a_channel_counts_and_the_earlier_ones_stay_on_record()
    {
        Assert.False(await IsOutAsync("sms"));
        await SetAsync("sms", true, "keyword:STOP");
        await SetAsync("sms", true, "keyword:STOP");
        Assert.True(await IsOutAsync("sms"));
        Assert.False(await IsOutAsync("email"));
        await SetAsync("sms", false, "keyword:START");
        Assert.False(await IsOutAsync("sms"));

        var history = await _talk.DoAsync(tx => _talk.Platform.Get<Consents>().HistoryAsync(tx, _talk.Contact.Id, default));
        Assert.Equal([(false, "keyword:START"), (true, "keyword:STOP")], history.Select(c => (c.OptedOut, c.Source)));
        await Assert.ThrowsAsync<PostgresException>(() => _talk.Platform.Postgres.ScalarAsync<object>("UPDATE contacts.channel_consents SET opted_out = false RETURNING 1"));
    }

    private Task SetAsync(string channel, bool optedOut, string source) =>
        _talk.Platform.AsAsync(_talk.Tenant, tx => _talk.Contacts.SetConsentAsync(tx, _talk.Contact.Id, channel, optedOut, source, default));

    private Task<bool> IsOutAsync(string channel) => _talk.DoAsync(tx => _talk.Contacts.IsOptedOutAsync(tx, _talk.Contact.Id, channel, default));
}
