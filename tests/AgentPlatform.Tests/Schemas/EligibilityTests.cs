using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Schemas;

namespace AgentPlatform.Tests.Schemas;

public sealed class EligibilityTests : IAsyncLifetime
{
    private Stage _stage = null!;

    public async Task InitializeAsync() => _stage = await Stage.StartAsync(Stage.Enrol);

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("brain-eligibility-schema-deps")]
    public async Task A_request_waits_for_the_directory_and_is_taken_up_when_it_has_answered()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.HearAsync("enrol in the course");
        var meanwhile = (QueuedAction?)null;
        _stage.Directory.Slow(async () => meanwhile = await _stage.RequestAsync());

        await _stage.Talk.Platform.DrainAsync();

        Assert.Equal((QueueStatus.Blocked, "schema_dependencies"), (meanwhile!.Status, meanwhile.BlockerReason));
        Assert.Equal(["profile.email", "profile.phone"], Missing(meanwhile));
        Assert.Equal(QueueStatus.Completed, (await _stage.RequestAsync()).Status);
        Assert.Equal(["One moment, I am looking up your profile.", "You are enrolled."], (await _stage.SaidAsync())[^2..]);
        var copy = (await _stage.Talk.SessionAsync()).State.SchemaStates["profile"];
        Assert.Equal(("complete", "ada@example.com"), (copy.SchemaStatus, copy.Keys["email"].Value?.GetString()));
    }

    [Fact]
    [Behaviour("brain-eligibility-schema-deps")]
    public async Task The_keys_that_are_missing_are_named_and_what_waits_for_them_runs_when_they_come()
    {
        _stage.Knows("ada@example.com", "555-0100");
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.SayAsync("enrol in the course");

        var blocked = await _stage.RequestAsync();
        Assert.Equal((QueueStatus.Blocked, "schema_dependencies"), (blocked.Status, blocked.BlockerReason));
        Assert.Equal(["profile.phone"], Missing(blocked));
        Assert.Equal("To enrol in the course I still need: phone.", (await _stage.SaidAsync())[^1]);

        // Nothing new is said while nothing is new.
        _stage.Clock.Advance(TimeSpan.FromSeconds(301));
        await _stage.Talk.SayAsync("thanks");
        Assert.Equal(2, _stage.Directory.Questions.Count);
        Assert.Single(await _stage.SaidAsync(), said => said.StartsWith("To enrol", StringComparison.Ordinal));

        _stage.Knows("ada@example.com", "+14155550100");
        await _stage.ExpireAsync(TimeSpan.FromMinutes(15));
        Assert.Equal((1, 0), await _stage.SweepAsync());
        await _stage.Talk.Platform.DrainAsync();
        Assert.Equal(QueueStatus.Completed, (await _stage.RequestAsync()).Status);
        Assert.Equal("You are enrolled.", (await _stage.SaidAsync())[^1]);
    }

    [Fact]
    [Behaviour("brain-eligibility-schema-deps", "brain-schema-cache-ttl")]
    public async Task What_is_known_already_is_not_asked_for_and_an_action_without_schemas_asks_nothing()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.OfferAsync(new ActionDefinition { ActionId = "wave", ActionName = "wave to me", ResponseTemplate = "Hello!" });
        await _stage.Talk.SayAsync("wave to me");
        Assert.Empty(_stage.Directory.Questions);

        await _stage.ReadAsync();
        await _stage.Talk.SayAsync("enrol in the course");

        Assert.Single(_stage.Directory.Questions);
        Assert.Equal(["Hello!", "You are enrolled."], (await _stage.SaidAsync())[^2..]);
    }

    [Fact]
    public async Task A_parameter_that_is_missing_then_is_asked_for_at_once()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.Talk.OfferAsync(Stage.Enrol with
        {
            ActionId = "book",
            ActionName = "book a lesson",
            ParamsRequired = Json.Of(new[] { "day" }),
            ParamValidation = Json.Of(new { day = new { prompt = "Which day?" } }),
            ResponseTemplate = "Booked for {{day}}.",
        });

        await _stage.Talk.SayAsync("book a lesson");
        Assert.Equal(["One moment, I am looking up your profile.", "Which day?"], (await _stage.SaidAsync())[^2..]);

        await _stage.Talk.SayAsync("Monday");
        Assert.Equal("Booked for Monday.", (await _stage.SaidAsync())[^1]);
        Assert.Single(_stage.Directory.Questions);
    }

    [Fact]
    public async Task While_the_directory_fails_the_request_waits_and_goes_on_as_soon_as_it_answers()
    {
        await _stage.DefineAsync(_stage.Profile);
        _stage.Directory.Next(503);
        await _stage.Talk.SayAsync("enrol in the course");
        Assert.Equal(QueueStatus.Blocked, (await _stage.RequestAsync()).Status);
        Assert.Equal("I cannot look up your profile right now. I will enrol in the course as soon as I can.", (await _stage.SaidAsync())[^1]);

        await _stage.Talk.HastenAsync();
        await _stage.Talk.Platform.DrainAsync();

        Assert.Equal(2, _stage.Directory.Questions.Count);
        Assert.Equal(QueueStatus.Completed, (await _stage.RequestAsync()).Status);
    }

    [Fact]
    [Behaviour("brain-schema-stale-on-error")]
    public async Task Keys_that_serve_while_the_directory_fails_satisfy_a_dependency()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        _stage.Clock.Advance(TimeSpan.FromSeconds(400));
        _stage.Directory.Next(503);

        await _stage.Talk.SayAsync("enrol in the course");

        Assert.Equal(QueueStatus.Completed, (await _stage.RequestAsync()).Status);
        Assert.Equal("503", Assert.Single(await _stage.RowsAsync()).ApiResponseStatus);
    }

    [Fact]
    [Behaviour("brain-schema-inactive")]
    public async Task An_inactive_schema_satisfies_nobody_until_it_is_active_again()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        await _stage.ChangeAsync(_stage.Profile with { IsActive = false });

        await _stage.Talk.SayAsync("enrol in the course");
        Assert.Equal(["profile.email", "profile.phone"], Missing(await _stage.RequestAsync()));
        Assert.Single(_stage.Directory.Questions);

        await _stage.ChangeAsync(_stage.Profile);
        await _stage.Talk.Platform.DrainAsync();
        Assert.Equal(QueueStatus.Completed, (await _stage.RequestAsync()).Status);
    }

    [Fact]
    [Behaviour("brain-schema-version-recorded")]
    public async Task A_new_version_is_asked_for_before_it_satisfies_a_dependency()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        _stage.Knows(null, "+14155550100");
        await _stage.ChangeAsync(_stage.Profile with { Version = "2.0" });

        await _stage.Talk.SayAsync("enrol in the course");

        Assert.Equal(2, _stage.Directory.Questions.Count);
        Assert.Equal(["profile.email"], Missing(await _stage.RequestAsync()));
    }

    [Fact]
    public async Task A_merged_contact_is_asked_about_anew()
    {
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();
        var (session, contact) = (_stage.SessionId, _stage.Talk.ContactId);
        await _stage.Talk.MeetAsync();

        var merged = await _stage.Talk.Platform.Get<AgentPlatform.Contacts.MergeContacts>().HandleAsync(_stage.Talk.Actor, contact, _stage.Talk.ContactId, default);

        Assert.True(merged.IsOk, merged.Problem?.Title);
        Assert.Empty(await _stage.RowsAsync());
    }

    private static string[] Missing(QueuedAction item) => Json.Read<string[]>(item.BlockerDetails!.Value.GetProperty("details").GetProperty("missing"));
}
