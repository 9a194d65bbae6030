using System.Text.Json;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Actions;

public sealed class EscalationTests : IAsyncLifetime
{
    private static readonly ActionDefinition Ship = new()
    {
        ActionId = "ship",
        ActionName = "ship the parcel",
        ExecutionType = "http",
        ApiMethod = "PUT",
        ApiEndpoint = "{endpoint}/parcels",
        TimeoutSeconds = 30,
        RetryPolicy = Json.Of(new { max_retries = 0 }),
    };

    private Talk _talk = null!;

    public async Task InitializeAsync() => _talk = await Talk.StartAsync();

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-dlq-escalate")]
    public async Task An_exhausted_action_is_reported_to_its_endpoint_and_the_ticket_is_kept()
    {
        await OfferAsync(new { endpoint = $"{_talk.Endpoint.Url}/tickets", ticket_id = "ticket.number", body = new { title = "{{dead_letter.action_id}} failed", error = "{{dead_letter.final_error.type}}" } });
        _talk.Endpoint.Answers(422, "{}").Answers(201, """{"ticket":{"number":77}}""");

        await _talk.SayAsync("ship the parcel");

        Assert.Equal(["/parcels", "/tickets"], _talk.Endpoint.Requests.Select(r => r.Target));
        var report = JsonDocument.Parse(_talk.Endpoint.Requests.Last().Body).RootElement;
        Assert.Equal(("ship failed", "api_rejected"), (report.GetProperty("title").GetString(), report.GetProperty("error").GetString()));
        var letter = await LetterAsync();
        Assert.Equal((true, "77"), (letter.EscalatedToSupport, letter.EscalationTicketId));
        Assert.Equal([("call", "not_happened"), ("escalation", "happened")], (await EffectsAsync()).Select(e => (e.Purpose, e.Status)));
        Assert.Equal($"{letter.DlqId}:escalation", _talk.Endpoint.Requests.Last().Headers["Idempotency-Key"]);
    }

    [Fact]
    public async Task A_report_whose_answer_was_lost_is_not_made_twice_where_that_makes_two_tickets()
    {
        await OfferAsync(new { endpoint = $"{_talk.Endpoint.Url}/tickets" }, timeoutSeconds: 2);
        _talk.Endpoint.Answers(422, "{}").Hangs();

        await _talk.SayAsync("ship the parcel");
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal(2, _talk.Endpoint.Requests.Count);
        Assert.False((await LetterAsync()).EscalatedToSupport);
        Assert.Equal("unknown", (await EffectsAsync())[1].Status);
    }

    [Fact]
    public async Task A_report_that_surely_did_not_arrive_is_made_again()
    {
        await OfferAsync(new { endpoint = $"{_talk.Endpoint.Url}/tickets" });
        _talk.Endpoint.Answers(422, "{}").Answers(429, "{}").Answers(201, """{"ticket_id":"T-9"}""");

        await _talk.SayAsync("ship the parcel");
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("T-9", (await LetterAsync()).EscalationTicketId);
        Assert.Equal("ship", JsonDocument.Parse(_talk.Endpoint.Requests.Last().Body).RootElement.GetProperty("action_id").GetString());
    }

    [Theory]
    [InlineData("""{"endpoint": "https://{{host}}/x"}""")]
    [InlineData("""{"body": {}}""")]
    [InlineData("""{"endpoint": "https://x.test/", "body": {"a": "{{{raw}}}"}}""")]
    [InlineData("7")]
    [InlineData("""{"endpoint": "https://x.test/", "auth_type": "bearer"}""")]
    [InlineData("""{"endpoint": "https://x.test/", "auth_type": "magic"}""")]
    public void An_escalation_must_be_one_that_can_be_made(string escalation) =>
        Assert.Contains("escalation", RegistryRules.Errors(Ship with { ApiEndpoint = "https://x.test/", Escalation = JsonDocument.Parse(escalation).RootElement }).Keys);

    private Task OfferAsync(object escalation, int timeoutSeconds = 30) => _talk.OfferAsync(Ship with { Escalation = Json.Of(escalation), TimeoutSeconds = timeoutSeconds });

    private Task<DeadLetter> LetterAsync() => _talk.InAsync(tx => tx.SingleAsync<DeadLetter>("SELECT * FROM actions.dead_letter_queue", [], default));

    private async Task<IReadOnlyList<ActionEffect>> EffectsAsync() => await _talk.InAsync(tx => tx.QueryAsync<ActionEffect>("SELECT * FROM actions.effects ORDER BY id", [], default));
}
