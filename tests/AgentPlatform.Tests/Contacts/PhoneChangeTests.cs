using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Tests.Conversations;

namespace AgentPlatform.Tests.Contacts;

public sealed class PhoneChangeTests : IAsyncLifetime
{
    private const string NewNumber = "+14155550111";

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-phone-change", "yp-phone-history-column")]
    public async Task A_new_number_is_noted_in_the_history_and_closes_the_conversation_on_the_old_one()
    {
        Assert.Equal(0, _talk.Contact.PhoneNumberHistory.GetArrayLength());

        await ChangeAsync(NewNumber);

        var contact = await ContactAsync();
        var entry = Assert.Single(contact.PhoneNumberHistory.EnumerateArray());
        Assert.Equal((NewNumber, Talk.Number, "user_update"), (contact.PhoneNumber, entry.GetProperty("phone_number").GetString(), entry.GetProperty("changed_reason").GetString()));
        Assert.True(entry.GetProperty("changed_at").GetDateTimeOffset() > DateTimeOffset.UnixEpoch);
        Assert.Equal("closed", (await _talk.ReadAsync()).Status);
    }

    [Fact]
    [Behaviour("yp-phone-change-trigger-safe")]
    public async Task Changing_twice_in_one_statement_each_keeps_both_old_numbers_and_every_other_column()
    {
        await _talk.ScalarAsync<string>("UPDATE contacts.customer_profiles SET phone_number = '+14155550111', company = 'Siemens' RETURNING phone_number");
        await _talk.ScalarAsync<string>("UPDATE contacts.customer_profiles SET phone_number = '+14155550122' RETURNING phone_number");
        await _talk.ScalarAsync<string>("UPDATE contacts.customer_profiles SET phone_number = '+14155550122' RETURNING phone_number");

        var contact = await ContactAsync();
        Assert.Equal([Talk.Number, NewNumber], contact.PhoneNumberHistory.EnumerateArray().Select(e => e.GetProperty("phone_number").GetString()));
        Assert.Equal("Siemens", contact.Company);
    }

    [Fact]
    [Behaviour("yp-phone-reassigned")]
    public async Task Whoever_gets_the_number_next_sees_nothing_of_the_old_owner()
    {
        await _talk.HearAsync("my secret");
        var session = await _talk.SessionAsync();
        await _talk.SaveAsync(session with { State = new SessionState { ExpectingResponse = true } });
        await ChangeAsync(NewNumber);

        var stranger = await _talk.DoAsync(tx => _talk.Contacts.GetOrCreateAsync(tx, Talk.Address, null, default));
        var conversation = await _talk.OpenAsync(stranger.Id);
        var found = await _talk.DoAsync(tx => _talk.Sessions.FindByChannelAsync(tx, Talk.Address, default));
        var fresh = await _talk.DoAsync(tx => _talk.Sessions.LoadOrStartAsync(tx, conversation.Id, _talk.AgentId, stranger.Id, Talk.Address, default));

        Assert.NotEqual(_talk.Contact.Id, stranger.Id);
        Assert.NotEqual(_talk.Conversation.Id, conversation.Id);
        Assert.Empty((await _talk.DoAsync(tx => _talk.Log.LoadAsync(tx, conversation.Id, default))).Messages);
        Assert.Null(found);
        Assert.False(fresh.State.ExpectingResponse);
    }

    [Fact]
    public async Task A_text_from_the_new_number_is_the_same_persons()
    {
        await ChangeAsync(NewNumber);

        var contact = await _talk.DoAsync(tx => _talk.Contacts.GetOrCreateAsync(tx, new ChannelAddress("sms", NewNumber), null, default));

        Assert.Equal(_talk.Contact.Id, contact.Id);
    }

    [Fact]
    public async Task A_number_of_another_contact_cannot_be_taken()
    {
        await _talk.DoAsync(tx => _talk.Contacts.GetOrCreateAsync(tx, new ChannelAddress("sms", NewNumber), null, default));

        Assert.Equal("phone_number_taken", await ChangeAsync(NewNumber));
        Assert.Equal("active", (await _talk.ReadAsync()).Status);
    }

    private async Task<string?> ChangeAsync(string number) =>
        (await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, _talk.Contact.Id, new FieldWrite("phone_number", number, FieldWrite.SystemSource), default))).Problem?.Code;

    private Task<Contact> ContactAsync() => _talk.DoAsync(async tx => (await _talk.Contacts.FindAsync(tx, _talk.Contact.Id, default))!);
}
