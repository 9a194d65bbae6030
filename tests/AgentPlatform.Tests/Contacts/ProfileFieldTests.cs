using AgentPlatform.Contacts;
using AgentPlatform.Tests.Conversations;
using Npgsql;

namespace AgentPlatform.Tests.Contacts;

public sealed class ProfileFieldTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.BeginAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("ps-field-source-values")]
    public async Task Only_the_four_sources_are_accepted()
    {
        foreach (var source in new[] { "USER_PROVIDED", "EXTRACTED", "INFERRED", "SYSTEM" })
        {
            Assert.Equal(FieldOutcome.Applied, await SetAsync($"field_{source}", "x", source));
        }

        Assert.Equal("validation_failed", (await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, _talk.Contact.Id, new FieldWrite("f", "x", "GUESSED"), default))).Problem!.Code);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _talk.ScalarAsync<string>("UPDATE contacts.profile_fields SET source = 'GUESSED' RETURNING source"));
        Assert.Equal("chk_field_source", refused.ConstraintName);
    }

    [Fact]
    [Behaviour("ps-field-history")]
    public async Task A_new_value_closes_the_old_one_and_the_history_is_complete()
    {
        await SetAsync("favourite", "tea", "EXTRACTED");
        await SetAsync("favourite", "coffee", "USER_PROVIDED");
        await SetAsync("favourite", "water", "USER_PROVIDED");

        var history = await _talk.DoAsync(tx => _talk.Platform.Get<ProfileFields>().HistoryAsync(tx, _talk.Contact.Id, "favourite", default));

        Assert.Equal(["water", "coffee", "tea"], history.Select(f => f.FieldValue));
        Assert.Equal([null, history[0].ValidFrom, history[1].ValidFrom], history.Select(f => f.ValidTo));
        Assert.Equal(["water"], (await FieldsAsync()).Where(f => f.FieldName == "favourite").Select(f => f.FieldValue));
    }

    [Fact]
    [Behaviour("ps-field-one-current")]
    public async Task However_many_write_at_once_one_value_is_current()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => SetAsync("city", $"city {i}", "USER_PROVIDED")));

        Assert.Single(await FieldsAsync(), f => f.FieldName == "city");
        Assert.Equal(8L, await _talk.ScalarAsync<long>("SELECT count(*) FROM contacts.profile_fields WHERE field_name = 'city'"));
        var doubled = await Assert.ThrowsAsync<PostgresException>(() => _talk.ScalarAsync<Guid>(
            "UPDATE contacts.profile_fields SET valid_to = NULL WHERE field_name = 'city' RETURNING id"));
        Assert.Equal("uq_profile_fields_current", doubled.ConstraintName);
    }

    [Theory]
    [Behaviour("ps-field-precedence")]
    [InlineData("USER_PROVIDED", 1.0, false, "INFERRED", 0.9, false, FieldOutcome.Outranked)]
    [InlineData("EXTRACTED", 0.5, true, "INFERRED", 0.9, false, FieldOutcome.Outranked)]
    [InlineData("EXTRACTED", 0.5, true, "EXTRACTED", 0.9, false, FieldOutcome.Outranked)]
    [InlineData("INFERRED", 0.5, false, "INFERRED", 0.9, false, FieldOutcome.Applied)]
    [InlineData("INFERRED", 0.9, false, "INFERRED", 0.9, false, FieldOutcome.Applied)]
    [InlineData("EXTRACTED", 0.9, true, "USER_PROVIDED", 1.0, false, FieldOutcome.Applied)]
    [InlineData("USER_PROVIDED", 1.0, true, "SYSTEM", 1.0, false, FieldOutcome.Applied)]
    public async Task A_weaker_guess_does_not_replace_what_is_better_known(
        string source, double confidence, bool verified, string newSource, double newConfidence, bool newVerified, FieldOutcome expected)
    {
        await SetAsync("company", "Siemens", source, confidence, verified);

        Assert.Equal(expected, await SetAsync("company", "Bosch", newSource, newConfidence, newVerified));

        var company = expected == FieldOutcome.Applied ? "Bosch" : "Siemens";
        Assert.Equal(company, Assert.Single(await FieldsAsync()).FieldValue);
        Assert.Equal(company, (await ContactAsync()).Company);
    }

    [Fact]
    [Behaviour("yp-bouncer-onboarding")]
    public async Task The_six_onboarding_answers_are_the_contacts_own_columns_with_a_history()
    {
        var answers = new Dictionary<string, string>
        {
            ["first_name"] = "Carla",
            ["last_name"] = "Jensen",
            ["company"] = "Siemens",
            ["title"] = "Engineer",
            ["email"] = "Carla@Example.com",
            ["linkedin_url"] = "https://linkedin.com/in/carla",
        };
        foreach (var (name, value) in answers)
        {
            await SetAsync(name, value, "USER_PROVIDED");
        }

        var contact = await ContactAsync();
        Assert.Equal(
            ("Carla", "Jensen", "Siemens", "Engineer", "carla@example.com", "https://linkedin.com/in/carla"),
            (contact.FirstName, contact.LastName, contact.Company, contact.Title, contact.Email, contact.LinkedinUrl));
        Assert.Equal(6, (await FieldsAsync()).Count);
        Assert.Equal(6L, await _talk.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'contact.field_set'"));
    }

    [Fact]
    [Behaviour("yp-route-by-verified")]
    public async Task Verifying_hands_a_contact_from_the_bouncer_to_the_concierge_or_the_innovator_agent()
    {
        Assert.Equal("bouncer", _talk.Contact.PocAgentType);
        await VerifyAsync();
        Assert.Equal((true, "concierge"), await StandingAsync());

        await _talk.ScalarAsync<Guid>("UPDATE contacts.customer_profiles SET verified = false, innovator = true RETURNING id");
        await VerifyAsync();
        Assert.Equal((true, "innovator"), await StandingAsync());
        await VerifyAsync();
        Assert.Equal(2L, await _talk.ScalarAsync<long>("SELECT count(*) FROM events.events WHERE event_type = 'contact.verified'"));
    }

    [Fact]
    public async Task Claiming_an_address_in_a_chat_gives_no_way_in()
    {
        var number = await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, _talk.Contact.Id, new FieldWrite("phone_number", "+4915112345678", "USER_PROVIDED"), default));
        await SetAsync("email", "boss@example.com", "USER_PROVIDED");

        Assert.Equal("phone_number_unverified", number.Problem!.Code);
        Assert.Null(await _talk.DoAsync(tx => _talk.Contacts.FindByAddressAsync(tx, new ChannelAddress("email", "boss@example.com"), default)));
        await SetAsync("email", "boss@example.com", "SYSTEM");
        Assert.Equal(_talk.Contact.Id, (await _talk.DoAsync(tx => _talk.Contacts.FindByAddressAsync(tx, new ChannelAddress("email", "boss@example.com"), default)))!.Id);
    }

    [Theory]
    [InlineData("email", "not an address")]
    [InlineData("timezone", "Mars/Olympus")]
    [InlineData("timezone", "Eastern Standard Time")]
    [InlineData("phone_number", "12")]
    public async Task Values_that_a_column_cannot_hold_are_refused(string name, string value) =>
        Assert.Equal("validation_failed", (await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, _talk.Contact.Id, new FieldWrite(name, value, "SYSTEM"), default))).Problem!.Code);

    [Fact]
    public async Task A_zone_that_was_taken_and_Postgres_does_not_know_is_forgotten_by_the_migration()
    {
        await SetAsync("timezone", "Europe/Berlin", "SYSTEM");
        await SetAsync("city", "Eastern Standard Time", "SYSTEM");
        var other = await _talk.DoAsync(tx => _talk.Contacts.GetOrCreateAsync(tx, new ChannelAddress("sms", "+14155550177"), null, default));
        await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, other.Id, new FieldWrite("timezone", "Europe/Rome", "SYSTEM"), default));
        await _talk.Platform.Postgres.ScalarAsync<string>($"UPDATE contacts.customer_profiles SET timezone = 'Eastern Standard Time' WHERE id = '{other.Id}' RETURNING timezone");
        await _talk.Platform.Postgres.ScalarAsync<string>($"UPDATE contacts.profile_fields SET field_value = 'Eastern Standard Time' WHERE profile_id = '{other.Id}' AND field_name = 'timezone' RETURNING field_value");

        var repair = await File.ReadAllTextAsync(Rules.Repository.Folder("src/AgentPlatform/Contacts/Migrations/006_known_time_zones.sql"));
        await _talk.Platform.Postgres.ScalarAsync<int>($"{repair} SELECT 1");

        Assert.Equal("Europe/Berlin", (await ContactAsync()).Timezone);
        Assert.Null((await _talk.DoAsync(tx => _talk.Contacts.FindAsync(tx, other.Id, default)))!.Timezone);
        Assert.DoesNotContain("timezone", (await _talk.DoAsync(tx => _talk.Contacts.FieldsAsync(tx, other.Id, default))).Select(f => f.FieldName));
        Assert.Equal(2, (await FieldsAsync()).Count(f => f.FieldName is "timezone" or "city"));
    }

    private async Task<FieldOutcome> SetAsync(string name, string value, string source, double confidence = 1.0, bool verified = false) =>
        (await _talk.DoAsync(tx => _talk.Contacts.SetFieldAsync(tx, _talk.Contact.Id, new FieldWrite(name, value, source, confidence, verified), default))).Value;

    private Task<IReadOnlyList<ProfileField>> FieldsAsync() => _talk.DoAsync(tx => _talk.Contacts.FieldsAsync(tx, _talk.Contact.Id, default));

    private Task<Contact> ContactAsync() => _talk.DoAsync(async tx => (await _talk.Contacts.FindAsync(tx, _talk.Contact.Id, default))!);

    private Task VerifyAsync() => _talk.Platform.AsAsync(_talk.Tenant, tx => _talk.Contacts.MarkVerifiedAsync(tx, _talk.Contact.Id, _talk.Conversation.Id, default));

    private async Task<(bool, string)> StandingAsync() => await ContactAsync() is var c ? (c.Verified, c.PocAgentType) : default;
}
