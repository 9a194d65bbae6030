using AgentPlatform.Actions;
using AgentPlatform.Brain;
using AgentPlatform.Contacts;

namespace AgentPlatform.Tests.Brain;

public sealed class OnboardingTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync(Onboarding.Default, Jobs.CancelApplication);

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("yp-bouncer-onboarding", "yp-verify-transition", "yp-route-by-verified")]
    public async Task The_bouncer_collects_the_profile_verifies_and_hands_over_to_the_concierge()
    {
        Assert.EndsWith("What is your first name?", await _talk.SayAsync("hi"), StringComparison.Ordinal);
        Assert.Equal("And your last name?", await _talk.SayAsync("Ada"));
        Assert.Equal("Which company are you with?", await _talk.SayAsync("Lovelace"));
        Assert.Equal("What is your title there?", await _talk.SayAsync("Analytical Engines"));
        Assert.Equal("What is your work e-mail?", await _talk.SayAsync("Chief Mathematician"));
        Assert.StartsWith("That does not look like an e-mail address.", await _talk.SayAsync("ada at engines"), StringComparison.Ordinal);
        Assert.StartsWith("Last one:", await _talk.SayAsync("ada@engines.example"), StringComparison.Ordinal);
        Assert.False((await _talk.ContactAsync()).Verified);
        Assert.StartsWith("Please send the full link", await _talk.SayAsync("https://example.com/ada"), StringComparison.Ordinal);
        Assert.Equal("Thank you Ada, you are all set!", await _talk.SayAsync("linkedin.com/in/ada"));

        var contact = await _talk.ContactAsync();
        Assert.Equal(("Ada", "Lovelace", "Analytical Engines", "Chief Mathematician", "ada@engines.example", "https://linkedin.com/in/ada"),
            (contact.FirstName, contact.LastName, contact.Company, contact.Title, contact.Email, contact.LinkedinUrl));
        Assert.Equal((true, "concierge"), (contact.Verified, contact.PocAgentType));
        Assert.Contains("contact.verified", await _talk.EventsAsync());

        Assert.StartsWith("Hello Ada", await _talk.SayAsync("hi"), StringComparison.Ordinal);
        var roles = await _talk.InAsync(tx => tx.QueryAsync<string>("SELECT agent_id FROM messaging.message_queue ORDER BY created_at", [], default));
        Assert.Equal("concierge", roles[^1]);
        Assert.All(roles.SkipLast(1), role => Assert.Equal("bouncer", role));
    }

    [Fact]
    [Behaviour("yp-task-reengagement")]
    public async Task Who_goes_quiet_in_the_onboarding_is_reminded_once_a_day_later()
    {
        await _talk.SayAsync("hi");
        await _talk.SayAsync("Ada");
        Assert.Equal(2, await ChecksAsync("status = 'pending' AND scheduled_for BETWEEN now() + interval '23 hours 50 minutes' AND now() + interval '24 hours'"));

        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("Hi Ada, are you still there? And your last name?", await _talk.RepliesAsync());
        Assert.Equal(1, await ChecksAsync("result_json->>'reason' = 'wrote_since'"));
        Assert.Equal(1, await ChecksAsync("(result_json->>'queued')::boolean AND context_json->>'last_step' = 'last_name'"));
    }

    [Fact]
    [Behaviour("yp-task-reengagement")]
    public async Task Who_is_through_with_the_onboarding_or_wants_no_messages_is_not_reminded()
    {
        await _talk.SayAsync("hi");
        await _talk.SayAsync("STOP");

        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("", await _talk.RepliesAsync());
        Assert.Equal(1, await ChecksAsync("result_json->>'reason' = 'opted_out'"));
    }

    [Fact]
    public async Task One_message_may_tell_several_things_at_once()
    {
        var reply = await _talk.SayAsync("Hi, my name is Ada Lovelace, I'm the Chief Mathematician at Analytical Engines. Write me at ada@engines.example");

        Assert.StartsWith("Last one:", reply, StringComparison.Ordinal);
        var contact = await _talk.ContactAsync();
        Assert.Equal(("Ada", "Lovelace", "Analytical Engines", "Chief Mathematician", "ada@engines.example"), (contact.FirstName, contact.LastName, contact.Company, contact.Title, contact.Email));
    }

    [Fact]
    public async Task A_clear_request_is_not_held_up_by_the_onboarding()
    {
        await _talk.SayAsync("hi");

        var reply = await _talk.SayAsync("cancel application");

        Assert.Contains("What is your first name?", reply, StringComparison.Ordinal);
        Assert.Contains("Your application is withdrawn.", reply, StringComparison.Ordinal);
        Assert.Equal("And your last name?", await _talk.SayAsync("Ada"));
    }

    [Fact]
    [Behaviour("yp-innovator-agent", "yp-route-by-verified")]
    public async Task An_innovator_is_greeted_by_their_own_agent_which_takes_notes()
    {
        await SetAsync("verified = true, innovator = true, poc_agent_type = 'innovator', first_name = 'Grace', company = 'Cobol Inc'");

        Assert.Equal("Hello Grace, innovator desk here. Tell me what you are building or whom you want to reach at Cobol Inc, and I will note it for your profile.", await _talk.SayAsync("hello"));
        Assert.StartsWith("Noted for your innovator profile.", await _talk.SayAsync("We are building a compiler for toasters"), StringComparison.Ordinal);

        Assert.Equal("We are building a compiler for toasters", await _talk.InAsync(tx => tx.SingleAsync<string>(
            "SELECT context_memory->>('innovator_note_2@' || (SELECT id FROM conversations.sessions WHERE conversation_id = $1)) FROM conversations.conversations WHERE id = $1",
            [_talk.ConversationId], default)));
        Assert.Equal(["innovator", "innovator"], await _talk.InAsync(tx => tx.QueryAsync<string>("SELECT agent_id FROM messaging.message_queue ORDER BY created_at", [], default)));
    }

    [Fact]
    [Behaviour("yp-priorities-top5", "yp-priorities-presented")]
    public async Task The_concierge_opens_with_the_top_five_priorities_once()
    {
        await SetAsync("verified = true, poc_agent_type = 'concierge', first_name = 'Ada'");
        await _talk.InAsync(tx => tx.ExecuteAsync(
            """
            INSERT INTO contacts.user_priorities (tenant_id, id, contact_id, priority_rank, item_type, item_id, title)
            SELECT kernel.current_tenant_id(), gen_random_uuid(), $1, n, 'intro_opportunity', gen_random_uuid(), 'Intro ' || n FROM generate_series(1, 6) AS n
            """, [_talk.ContactId], default));

        var first = await _talk.SayAsync("hello");
        var second = await _talk.SayAsync("what's new");

        Assert.EndsWith("New for you:\n1. Intro 1\n2. Intro 2\n3. Intro 3\n4. Intro 4\n5. Intro 5", first, StringComparison.Ordinal);
        Assert.Equal("New for you:\n1. Intro 6", second);
        Assert.Equal("Nothing new for you right now.", await _talk.SayAsync("any news"));
    }

    private Task SetAsync(string what) => _talk.Platform.Postgres.ScalarAsync<int>($"WITH done AS (UPDATE contacts.customer_profiles SET {what} RETURNING 1) SELECT count(*)::int FROM done");

    private Task<long> ChecksAsync(string condition) =>
        _talk.InAsync(tx => tx.SingleAsync<long>($"SELECT count(*) FROM schedules.agent_tasks WHERE task_type = 're_engagement_check' AND {condition}", [], default));
}
