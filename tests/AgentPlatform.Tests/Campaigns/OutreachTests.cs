using System.Globalization;
using System.Text.Json;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;
using AgentPlatform.Tests.Work;

namespace AgentPlatform.Tests.Campaigns;

/// <summary>A move's words on their way to contacts, in batches of two, over the fake provider of text messages.</summary>
public sealed class OutreachTests : IAsyncLifetime
{
    private CampaignStage _stage = null!;

    public async Task InitializeAsync() => _stage = await CampaignStage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Everybody_the_profiles_are_for_is_written_to_once_in_their_own_words()
    {
        await _stage.PutAsync("foundation", new { company_name = "Acme" });
        await PeopleAsync(5);
        await _stage.ContactAsync("Zoe", "+14155550199", new { company = "Elsewhere" });
        var here = await _stage.IcpAsync(new { path = "$.company", equals = "Here" });
        var also = await _stage.IcpAsync(new { path = "$.first_name", equals = "P1" });
        var campaign = await _stage.CampaignAsync(null, here, also);
        var move = await _stage.MoveAsync("outreach", new { campaign_id = campaign, priority = "high", content = new { text = "Hi {{contact.first_name}}{{#if contact.title}}, {{contact.title}}{{/if}}: {{foundation.company_name}} calls ({{campaign.name}})." } });
        Assert.Equal((409, "campaign_not_active"), Told(await _stage.Api.PostAsync($"/api/v1/moves/{move}/run", new { })));
        await _stage.PostAsync($"campaigns/{campaign}/start", new { }, 200);

        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        Assert.Equal(Enumerable.Range(1, 5).Select(i => $"Hi P{i}: Acme calls (Spring)."), _stage.Twilio.Messages.Select(m => m.Body).Order(StringComparer.Ordinal));
        var done = await _stage.GetAsync($"moves/{move}");
        Assert.Equal(("completed", true), (Text(done, "status"), done.GetProperty("completed_at").GetDateTimeOffset() <= TimeProvider.System.GetUtcNow()));
        Assert.All(await _stage.RecipientsAsync(move), r => Assert.Equal(("sent", "sms"), (Text(r, "status"), Text(r, "channel"))));
        Assert.Equal(5, await _stage.CountAsync("SELECT count(*) FROM messaging.message_queue WHERE proactive AND priority = 'high' AND idempotency_key LIKE 'move:%'"));
        // Two full batches and a last one of one: three times the work was claimed.
        Assert.Equal(3, await _stage.CountAsync("SELECT fence FROM work.items WHERE kind = 'campaigns.run_move'"));
        Assert.Equal(["move.created", "move.started", "move.completed"], await _stage.EventsAsync(move));
    }

    [Fact]
    public async Task Consent_quiet_hours_and_missing_addresses_hold()
    {
        var people = await PeopleAsync(3);
        await _stage.PostAsync($"contacts/{people[0]}/consents", new { channel = "sms", opted_out = true }, 200);
        await _stage.Api.SendAsync(HttpMethod.Patch, $"/api/v1/contacts/{people[1]}", new { quiet_hours_start = Hour(-1), quiet_hours_end = Hour(2), timezone = "UTC" });
        var silent = CampaignStage.Id(await _stage.PostAsync("contacts", new { first_name = "Nowhere" }));
        var (_, move) = await _stage.OutreachAsync("Hello");

        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        Assert.Equal("+14155550103", Assert.Single(_stage.Twilio.Messages).To);
        var became = (await _stage.RecipientsAsync(move)).ToDictionary(r => r.GetProperty("contact_id").GetGuid(), r => $"{Text(r, "status")} {Text(r, "reason")}".TrimEnd());
        Assert.Equal(("skipped opted_out", "queued", "sent", "skipped no_channel"), (became[people[0]], became[people[1]], became[people[2]], became[silent]));
        Assert.Equal("quiet_hours", await _stage.Platform.Postgres.ScalarAsync<string>("SELECT hold_reason FROM messaging.message_queue WHERE status = 'held'"));
    }

    [Fact]
    public async Task A_conversation_that_a_person_has_taken_over_is_left_to_them()
    {
        var person = (await PeopleAsync(1))[0];
        await _stage.Channels.TextAsync(_stage.Texts, "+14155550101", "hello");
        await _stage.SettleAsync();
        var (_, move) = await _stage.OutreachAsync("Hello");
        await _stage.CountAsync("WITH u AS (UPDATE conversations.conversations SET handled_by = 'human' RETURNING 1) SELECT count(*) FROM u");

        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        Assert.DoesNotContain(_stage.Twilio.Messages, m => m.Body == "Hello");
        var recipient = Assert.Single(await _stage.RecipientsAsync(move));
        Assert.Equal((person, "skipped", "conversation_not_the_bots"), (recipient.GetProperty("contact_id").GetGuid(), Text(recipient, "status"), Text(recipient, "reason")));
    }

    [Fact]
    public async Task A_host_that_dies_in_the_middle_of_a_batch_leaves_nothing_of_it_and_nobody_is_written_to_twice()
    {
        await PeopleAsync(5);
        var (_, move) = await _stage.OutreachAsync("Hello {{contact.first_name}}");
        // Its fourth message kills the transaction, in the middle of the second batch.
        await _stage.CountAsync(
            """
            SELECT 1::bigint;
            CREATE FUNCTION messaging.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.message_data ->> 'text' = 'Hello P4' THEN RAISE EXCEPTION 'The host dies here.'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER break BEFORE INSERT ON messaging.message_queue FOR EACH ROW EXECUTE FUNCTION messaging.break();
            """);
        await _stage.RunAsync(move);
        await _stage.Platform.DrainAsync();
        Assert.Equal(["Hello P1", "Hello P2"], _stage.Twilio.Messages.Select(m => m.Body).Order(StringComparer.Ordinal));
        Assert.Equal(("in_progress", 2), (Text(await _stage.GetAsync($"moves/{move}"), "status"), (await _stage.RecipientsAsync(move)).Length));

        await _stage.CountAsync("SELECT 1::bigint; DROP TRIGGER break ON messaging.message_queue");
        await _stage.DrainDueAsync();
        await _stage.SettleAsync();

        Assert.Equal(Enumerable.Range(1, 5).Select(i => $"Hello P{i}"), _stage.Twilio.Messages.Select(m => m.Body).Order(StringComparer.Ordinal));
        Assert.Equal(("completed", 5), (Text(await _stage.GetAsync($"moves/{move}"), "status"), (await _stage.RecipientsAsync(move)).Length));
    }

    [Fact]
    public async Task Work_that_is_done_once_more_writes_to_nobody_again()
    {
        await PeopleAsync(3);
        var (_, move) = await _stage.OutreachAsync("Hello");
        await _stage.RunAsync(move);
        await _stage.SettleAsync();
        // As if nothing of it had been remembered but whom it wrote to.
        await _stage.CountAsync("WITH u AS (UPDATE campaigns.moves SET status = 'in_progress', completed_at = NULL, reached = NULL RETURNING 1) SELECT count(*) FROM u");
        await _stage.CountAsync("WITH u AS (UPDATE work.items SET state = 'ready', finished_at = NULL, run_at = now() WHERE kind = 'campaigns.run_move' RETURNING 1) SELECT count(*) FROM u");

        await _stage.SettleAsync();

        Assert.Equal("completed", Text(await _stage.GetAsync($"moves/{move}"), "status"));
        Assert.Equal(3, _stage.Twilio.Messages.Count);
        Assert.Equal(["sent", "sent", "sent"], (await _stage.RecipientsAsync(move)).Select(r => Text(r, "status")));
    }

    [Fact]
    public async Task A_paused_campaign_stops_at_the_next_batch_and_goes_on_where_it_was()
    {
        await PeopleAsync(5);
        var (campaign, move) = await _stage.OutreachAsync("Hello {{contact.first_name}}");
        await _stage.RunAsync(move);
        // The first batch was the last that the campaign was active for.
        await _stage.CountAsync(
            """
            SELECT 1::bigint;
            CREATE FUNCTION campaigns.rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE campaigns.campaigns SET status = 'paused'; RETURN NULL; END $$;
            CREATE TRIGGER rest AFTER UPDATE OF reached ON campaigns.moves FOR EACH ROW WHEN (OLD.reached IS NULL) EXECUTE FUNCTION campaigns.rest();
            """);

        await _stage.SettleAsync();
        Assert.Equal(["Hello P1", "Hello P2"], _stage.Twilio.Messages.Select(m => m.Body).Order(StringComparer.Ordinal));
        Assert.Equal("in_progress", Text(await _stage.GetAsync($"moves/{move}"), "status"));

        await _stage.PostAsync($"campaigns/{campaign}/resume", new { }, 200);
        await _stage.SettleAsync();

        Assert.Equal(Enumerable.Range(1, 5).Select(i => $"Hello P{i}"), _stage.Twilio.Messages.Select(m => m.Body).Order(StringComparer.Ordinal));
        Assert.Equal("completed", Text(await _stage.GetAsync($"moves/{move}"), "status"));
    }

    [Fact]
    public async Task A_campaign_that_is_completed_meanwhile_writes_to_nobody_any_more()
    {
        await PeopleAsync(2);
        var (campaign, move) = await _stage.OutreachAsync("Hello");
        await _stage.PostAsync($"campaigns/{campaign}/pause", new { }, 200);
        Assert.Equal((409, "campaign_not_active"), Told(await _stage.Api.PostAsync($"/api/v1/moves/{move}/run", new { })));
        await _stage.PostAsync($"campaigns/{campaign}/resume", new { }, 200);
        await _stage.RunAsync(move);
        await _stage.PostAsync($"campaigns/{campaign}/complete", new { }, 200);

        await _stage.SettleAsync();

        Assert.Empty(_stage.Twilio.Messages);
        var stopped = await _stage.GetAsync($"moves/{move}");
        Assert.Equal(("failed", "campaign_completed"), (Text(stopped, "status"), Text(stopped, "error")));
    }

    [Fact]
    public async Task Nobody_is_written_to_before_the_first_day()
    {
        await PeopleAsync(1);
        var tomorrow = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime).AddDays(1);
        var campaign = await _stage.CampaignAsync(new { start_date = tomorrow }, await _stage.IcpAsync(true));
        var move = await _stage.MoveAsync("outreach", new { campaign_id = campaign, content = new { text = "Hello" } });
        await _stage.PostAsync($"campaigns/{campaign}/start", new { }, 200);
        await _stage.RunAsync(move);
        await _stage.SettleAsync();
        Assert.Equal((0, "in_progress"), (_stage.Twilio.Messages.Count, Text(await _stage.GetAsync($"moves/{move}"), "status")));
        Assert.Equal(1, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.run_move' AND state = 'ready' AND run_at > now() + interval '1 second'"));

        await _stage.PutAsync($"campaigns/{campaign}", new { name = "X", type = "leadgen", start_date = tomorrow.AddDays(-1), target_icps = (await _stage.GetAsync($"campaigns/{campaign}")).GetProperty("target_icps") });
        await _stage.SettleAsync();

        Assert.Single(_stage.Twilio.Messages);
    }

    [Fact]
    public async Task Who_would_get_more_than_a_text_message_may_have_is_left_out()
    {
        await PeopleAsync(1);
        await _stage.ContactAsync(new string('N', 100), "+14155550102");
        var (_, move) = await _stage.OutreachAsync($"{{{{contact.first_name}}}} {new string('x', 1550)}");

        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        Assert.Equal(1553, Assert.Single(_stage.Twilio.Messages).Body.Length);
        Assert.Equal("too_long", Text((await _stage.GetAsync($"moves/{move}/recipients?status=skipped")).GetProperty("items")[0], "reason"));
    }

    [Theory]
    [InlineData("""{"text": "Hello"}""", false, "move_has_no_campaign")]
    [InlineData("""{"text": " "}""", true, "move_has_no_text")]
    [InlineData("{}", true, "move_has_no_text")]
    public async Task An_outreach_that_has_nobody_to_write_to_or_nothing_to_say_does_not_begin(string content, bool hasCampaign, string code)
    {
        var campaign = await _stage.CampaignAsync();
        await _stage.PostAsync($"campaigns/{campaign}/start", new { }, 200);
        var move = await _stage.MoveAsync("outreach", new { campaign_id = hasCampaign ? campaign : (Guid?)null, content = JsonSerializer.Deserialize<JsonElement>(content) });

        Assert.Equal((409, code), Told(await _stage.Api.PostAsync($"/api/v1/moves/{move}/run", new { })));
        Assert.Equal("pending", Text(await _stage.GetAsync($"moves/{move}"), "status"));
    }

    [Fact]
    public async Task Without_profiles_an_outreach_fails_and_says_why()
    {
        var campaign = await _stage.CampaignAsync();
        await _stage.PostAsync($"campaigns/{campaign}/start", new { }, 200);
        var move = await _stage.MoveAsync("outreach", new { campaign_id = campaign, content = new { text = "Hello" } });
        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        Assert.Equal("no_icps", Text(await _stage.GetAsync($"moves/{move}"), "error"));
    }

    [Fact]
    [Behaviour("mk-campaign-metrics")]
    public async Task Metrics_follow_what_becomes_of_moves_and_of_their_messages()
    {
        await PeopleAsync(6);
        var (campaign, move) = await _stage.OutreachAsync("Hello {{contact.first_name}}");
        await _stage.MoveAsync("admin", new { campaign_id = campaign });
        // The first is reported delivered before its send has settled, the sixth is refused.
        _stage.Twilio.Next(new TwilioAnswer.ReportThenAccept("delivered"), new TwilioAnswer.Accept(), new TwilioAnswer.Accept(), new TwilioAnswer.Accept(), new TwilioAnswer.Accept(), new TwilioAnswer.Refuse(400, 21211));
        await _stage.RunAsync(move);
        await _stage.SettleAsync();
        Assert.Equal((6, 5, 1, 1, 0, 0), await MessagesAsync(campaign));
        var moves = (await _stage.GetAsync($"campaigns/{campaign}")).GetProperty("metrics").GetProperty("moves");
        Assert.Equal((2, 1, 1), (moves.GetProperty("total").GetInt32(), moves.GetProperty("pending").GetInt32(), moves.GetProperty("completed").GetInt32()));

        var waiting = _stage.Twilio.Messages.Where(m => m.Body != _stage.Twilio.Messages.First().Body).ToList();
        await _stage.Twilio.ReportAsync(waiting[0], "delivered");
        await _stage.Twilio.ReportAsync(waiting[1], "undelivered", "30005");
        await _stage.Channels.TextAsync(_stage.Texts, waiting[2].To, "Tell me more");
        await _stage.Channels.TextAsync(_stage.Texts, waiting[2].To, "Hello?");
        await _stage.SettleAsync();
        Assert.Equal((6, 5, 2, 2, 1, 0), await MessagesAsync(campaign));

        await _stage.PostAsync($"contacts/{await ContactAsync(waiting[3].To)}/consents", new { channel = "sms", opted_out = true }, 200);
        await _stage.SettleAsync();

        Assert.Equal((6, 5, 2, 2, 1, 1), await MessagesAsync(campaign));
        var failed = (await _stage.GetAsync($"moves/{move}/recipients?status=failed")).GetProperty("items").EnumerateArray().Select(r => Text(r, "reason")).Order();
        Assert.Equal(["30005", "twilio_21211"], failed);
    }

    [Fact]
    public async Task One_look_does_for_all_changes_that_wait_and_other_messages_ask_for_none()
    {
        await PeopleAsync(4);
        await _stage.Channels.TextAsync(_stage.Texts, "+14155550101", "hello");
        await _stage.SettleAsync();
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.metrics'"));

        var (campaign, move) = await _stage.OutreachAsync("Hello");
        await _stage.PostAsync("work/pauses", new { kind = UpdateMetrics.Kind, reason = "until all have asked" }, 200);
        await _stage.RunAsync(move);
        await _stage.Platform.DrainAsync();
        var asked = await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.metrics'");
        using var looks = new ClaimCounter(_stage.Platform, UpdateMetrics.Kind);
        var pause = (await _stage.GetAsync("work/pauses")).GetProperty("items")[0].GetProperty("id").GetGuid();
        Assert.Equal(204, (await _stage.Api.SendAsync(HttpMethod.Delete, $"/api/v1/work/pauses/{pause}")).Status);
        await _stage.DrainDueAsync();

        Assert.Equal(4, (await _stage.GetAsync($"campaigns/{campaign}")).GetProperty("metrics").GetProperty("messages").GetProperty("sent").GetInt32());
        Assert.True(looks.Count < asked && asked >= 7, $"{looks.Count} of {asked}");
        Assert.Equal(0, await _stage.CountAsync("SELECT count(*) FROM work.items WHERE kind = 'campaigns.metrics'"));
    }

    [Fact]
    public async Task A_contact_that_turns_out_to_be_another_one_has_been_written_to()
    {
        var people = await PeopleAsync(3);
        var (_, move) = await _stage.OutreachAsync("Hello");
        await _stage.RunAsync(move);
        await _stage.SettleAsync();

        await _stage.PostAsync($"contacts/{people[0]}/merge", new { into_id = people[1] }, 200);
        var late = CampaignStage.Id(await _stage.PostAsync("contacts", new { first_name = "Late" }));
        await _stage.PostAsync($"contacts/{people[2]}/merge", new { into_id = late }, 200);

        Assert.Equal(new[] { people[1], late }.Order(), (await _stage.RecipientsAsync(move)).Select(r => r.GetProperty("contact_id").GetGuid()).Order());
    }

    private async Task<Guid[]> PeopleAsync(int count)
    {
        var people = new Guid[count];
        for (var i = 0; i < count; i++)
        {
            people[i] = await _stage.ContactAsync($"P{i + 1}", $"+1415555010{i + 1}", new { company = "Here" });
        }

        return people;
    }

    private static string Hour(int fromNow) => TimeProvider.System.GetUtcNow().AddHours(fromNow).ToString("HH:mm", CultureInfo.InvariantCulture);

    private async Task<Guid> ContactAsync(string number) => CampaignStage.Id((await _stage.GetAsync($"contacts?phone_number={Uri.EscapeDataString(number)}")).GetProperty("items")[0]);

    private async Task<(int Contacts, int Sent, int Delivered, int Failed, int Replied, int OptedOut)> MessagesAsync(Guid campaign)
    {
        var messages = (await _stage.GetAsync($"campaigns/{campaign}")).GetProperty("metrics").GetProperty("messages");
        return (Of("contacts"), Of("sent"), Of("delivered"), Of("failed"), Of("replied"), Of("opted_out"));

        int Of(string name) => messages.GetProperty(name).GetInt32();
    }

    private static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();

    private static (int Status, string Code) Told(ApiAnswer answer) => (answer.Status, answer.Code);
}
