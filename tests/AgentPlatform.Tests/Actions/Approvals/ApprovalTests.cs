using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Actions.Approvals;

public sealed class ApprovalTests : IAsyncLifetime
{
    private static readonly ActionDefinition Refund = new()
    {
        ActionId = "refund",
        ActionName = "refund my order",
        DisplayName = "Refund the order",
        Description = "Pays the order back.",
        ParamsOptional = Json.Of(new[] { "amount", "page" }),
        ParamValidation = Json.Of(new { amount = new { type = "integer", maximum = 500, message = "At most 500." } }),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "{endpoint}/refunds",
        ResponseTemplate = "Refunded.",
        Approval = Json.Of(new
        {
            risk_level = "high",
            factors = new[] { "moves money" },
            expires_in_seconds = 600,
            editable_fields = new[] { "amount" },
            screenshot_url = "https://shots.example/{{page}}",
        }),
    };

    private readonly Guid _ann = TimeProvider.System.NewId();
    private readonly Guid _bob = TimeProvider.System.NewId();

    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        _talk = await Talk.StartAsync(Refund);
        await JoinAsync(_ann, "ann", "member");
        await JoinAsync(_bob, "bob", "admin");
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("bb-approval-create")]
    public async Task A_risky_action_asks_and_waits_without_being_run()
    {
        Assert.Contains("needs the approval of a colleague", await _talk.SayAsync("refund my order"), StringComparison.Ordinal);

        var item = await ItemAsync();
        Assert.Equal((QueueStatus.Blocked, "awaiting_approval"), (item.Status, item.BlockerReason));
        var asked = await ApprovalAsync();
        Assert.Equal((item.Id, "refund", "Pays the order back.", "high", "pending"), (asked.ActionQueueId, asked.ActionType, asked.ActionDescription, asked.RiskLevel, asked.Status));
        Assert.Equal("moves money", Assert.Single(asked.RiskFactors.EnumerateArray()).GetString());
        Assert.Equal("reject", asked.TimeoutAction);
        Assert.Equal(600, (asked.ExpiresAt - asked.CreatedAt).TotalSeconds, 1);
        Assert.Contains("approval.requested", await _talk.EventsAsync());
        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Equal(0, await _talk.InAsync(tx => tx.SingleAsync<long>("SELECT count(*) FROM work.items WHERE kind = 'actions.execute'", [], default)));

        await _talk.SayAsync("hello");
        Assert.Equal(QueueStatus.Blocked, (await ItemAsync()).Status);
    }

    [Fact]
    public async Task The_contact_is_told_also_when_the_last_parameter_completes_the_request()
    {
        await _talk.OfferAsync(Refund with { ActionId = "gift", ActionName = "send a gift", DisplayName = "Send a gift", ParamsRequired = Json.Of(new[] { "amount" }), ParamsOptional = Json.Of(Array.Empty<string>()), Approval = Json.Of(new { risk_level = "low" }) });
        await _talk.SayAsync("send a gift");

        Assert.Contains("needs the approval", await _talk.SayAsync("20"), StringComparison.Ordinal);

        Assert.Equal("20", (await ApprovalAsync()).ActionParams.GetProperty("amount").ToString());
    }

    [Fact]
    public async Task The_approver_sees_the_parameters_and_the_picture_they_name()
    {
        await EnqueueAsync(new { amount = 120, page = "order 7" });

        var asked = await ApprovalAsync();
        Assert.Equal(120, asked.ActionParams.GetProperty("amount").GetInt32());
        Assert.Equal("https://shots.example/order%207", asked.ScreenshotUrl);
    }

    [Fact]
    [Behaviour("bb-approval-decide")]
    public async Task Yes_runs_exactly_those_parameters_and_a_second_answer_is_refused()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();

        var approved = await ApproveAsync(asked.Id, _ann);
        await _talk.Platform.DrainAsync();

        Assert.Equal(("approved", true), (approved.Value.Status, approved.Value.ApprovedAt is not null));
        Assert.Equal("""{"amount":120}""", Assert.Single(_talk.Endpoint.Requests).Body.Replace(" ", "", StringComparison.Ordinal));
        Assert.Equal(QueueStatus.Completed, (await ItemAsync()).Status);
        Assert.Equal("approval_decided", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        Assert.Equal("approval_decided", (await RejectAsync(asked.Id, _bob)).Problem!.Code);
        Assert.Single(_talk.Endpoint.Requests);
    }

    [Fact]
    [Behaviour("bb-approval-decide")]
    public async Task No_stores_the_reason_and_the_action_never_runs()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();

        var rejected = (await RejectAsync(asked.Id, _ann)).Value;
        await _talk.Platform.DrainAsync();

        Assert.Equal(("rejected", "too much", true), (rejected.Status, rejected.RejectionReason, rejected.RejectedAt is not null));
        Assert.Equal(QueueStatus.Cancelled, (await ItemAsync()).Status);
        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Equal("approval_decided", (await ApproveAsync(asked.Id, _bob)).Problem!.Code);
    }

    [Fact]
    public async Task Two_answers_at_the_same_moment_decide_once()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();

        var answers = await Task.WhenAll(ApproveAsync(asked.Id, _ann), RejectAsync(asked.Id, _bob));

        Assert.Equal("approval_decided", Assert.Single(answers, a => !a.IsOk).Problem!.Code);
    }

    [Fact]
    public async Task The_approver_may_correct_the_editable_fields_within_their_rules()
    {
        await EnqueueAsync(new { amount = 120, page = "p" });
        var asked = await ApprovalAsync();

        Assert.Equal("At most 500.", Assert.Single((await ApproveAsync(asked.Id, _ann, new { amount = 900 })).Problem!.Errors!["edits.amount"]));
        Assert.Equal("May not be edited.", Assert.Single((await ApproveAsync(asked.Id, _ann, new { page = "q" })).Problem!.Errors!["edits.page"]));
        Assert.True((await ApproveAsync(asked.Id, _ann, new { amount = 80 })).IsOk);
        await _talk.Platform.DrainAsync();

        Assert.Equal(80, JsonDocument.Parse(Assert.Single(_talk.Endpoint.Requests).Body).RootElement.GetProperty("amount").GetInt32());
        Assert.Equal(80, (await ItemAsync()).ParamsCollected.GetProperty("amount").GetInt32());
    }

    [Fact]
    public async Task A_quorum_needs_several_members_who_agree_to_the_same_parameters()
    {
        await OfferAsync(new { risk_level = "critical", quorum = 2, editable_fields = new[] { "amount" } });
        await EnqueueAsync(new { amount = 120 }, "refund_2");
        var asked = await ApprovalAsync();

        Assert.Equal("pending", (await ApproveAsync(asked.Id, _ann, new { amount = 90 })).Value.Status);
        Assert.Equal("approval_decided", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        Assert.Equal("approval_voted", (await ApproveAsync(asked.Id, _bob, new { amount = 100 })).Problem!.Code);
        Assert.Equal(QueueStatus.Blocked, (await ItemAsync()).Status);

        var approved = (await ApproveAsync(asked.Id, _bob)).Value;
        Assert.Equal(("approved", 90), (approved.Status, approved.ActionParams.GetProperty("amount").GetInt32()));
        Assert.Equal([_ann, _bob], approved.Votes.Select(v => v.UserId));
        Assert.Equal(90, (await ItemAsync()).ParamsCollected.GetProperty("amount").GetInt32());
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    public async Task A_field_that_the_approver_empties_is_empty(string? nothing)
    {
        await EnqueueAsync(new { amount = 120 });
        var approved = (await ApproveAsync((await ApprovalAsync()).Id, _ann, new { amount = nothing })).Value;
        Assert.Equal(("approved", false), (approved.Status, approved.ActionParams.TryGetProperty("amount", out _)));
        Assert.False((await ItemAsync()).ParamsCollected.TryGetProperty("amount", out _));
    }

    [Fact]
    public async Task A_member_who_passed_the_question_on_no_longer_answers_it()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();
        var owner = await _talk.InAsync(tx => tx.SingleAsync<Guid>("SELECT user_id FROM tenancy.workspace_members WHERE role = 'owner'", [], default));
        var viewer = TimeProvider.System.NewId();
        await JoinAsync(viewer, "vic", "viewer");

        Assert.Equal("not_delegable", (await DelegateAsync(asked.Id, _ann, TimeProvider.System.NewId())).Problem!.Code);
        Assert.Equal("not_delegable", (await DelegateAsync(asked.Id, _ann, viewer)).Problem!.Code);
        Assert.Equal("not_delegable", (await DelegateAsync(asked.Id, _ann, _ann)).Problem!.Code);
        var passed = await DelegateAsync(asked.Id, _ann, owner);
        Assert.Equal(owner, Assert.Single(passed.Value.Passed).ToUser);
        Assert.Equal("approval_delegated", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        Assert.True((await ApproveAsync(asked.Id, owner)).IsOk);
        Assert.Contains("approval.delegated", await _talk.EventsAsync());
    }

    [Theory]
    [InlineData("UPDATE tenancy.workspace_members SET role = 'viewer' WHERE user_id = $1")]
    [InlineData("DELETE FROM tenancy.workspace_members WHERE user_id = $1")]
    public async Task Who_lost_the_right_answers_no_more_whichever_way_they_were_asked(string loses)
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();
        await _talk.InAsync(tx => tx.ExecuteAsync(loses, [_ann], default));

        foreach (var via in new[] { "api", "link", "reply" })
        {
            Assert.Equal((403, "not_an_approver"), Refusal(await AnswerAsync((approvals, tx) => approvals.ApproveAsync(tx, asked.Id, new Approver(_ann, via), null, default))));
        }

        Assert.Equal((403, "not_an_approver"), Refusal(await RejectAsync(asked.Id, _ann)));
        Assert.Equal((403, "not_an_approver"), Refusal(await DelegateAsync(asked.Id, _ann, _bob)));
        Assert.Equal("pending", (await ApprovalAsync()).Status);
        Assert.True((await ApproveAsync(asked.Id, _bob)).IsOk);
    }

    [Fact]
    public async Task A_link_ends_with_the_account_it_was_made_for()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();
        var links = _talk.Platform.Get<ApprovalLinks>();
        var (token, _) = (await _talk.InAsync(tx => links.CreateAsync(tx, asked.Id, _ann, default))).Value;
        Assert.True((await links.ShowAsync(token, default)).IsOk);

        await _talk.Platform.AsAsync(new Actor(_talk.Actor.TenantId, _ann, "member"), tx => tx.ExecuteAsync("UPDATE identity.users SET is_active = false WHERE id = $1", [_ann], default));

        Assert.Equal("not_an_approver", (await links.AnswerAsync(token, new LinkAnswer("approve", null, null), default)).Problem!.Code);
        Assert.Equal("not_an_approver", (await links.ShowAsync(token, default)).Problem!.Code);
        Assert.Equal("pending", (await ApprovalAsync()).Status);
    }

    [Fact]
    [Behaviour("bb-approval-timeout")]
    public async Task Without_an_answer_the_time_out_rejects_and_a_late_answer_is_refused()
    {
        await EnqueueAsync(new { amount = 120 });
        var asked = await ApprovalAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal("pending", (await ApprovalAsync()).Status);

        await LapseAsync();
        Assert.Equal("approval_expired", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        await _talk.Platform.DrainAsync();

        var expired = await ApprovalAsync();
        Assert.Equal(("expired", true, null), (expired.Status, expired.RejectedAt is not null, expired.ApprovedAt));
        Assert.Equal(QueueStatus.Cancelled, (await ItemAsync()).Status);
        Assert.Equal("approval_expired", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        Assert.Empty(_talk.Endpoint.Requests);
        Assert.Contains("approval.expired", await _talk.EventsAsync());
    }

    [Fact]
    [Behaviour("bb-approval-timeout")]
    public async Task A_time_out_that_approves_runs_the_action()
    {
        await OfferAsync(new { risk_level = "low", timeout_action = "approve" });
        await EnqueueAsync(new { amount = 5 }, "refund_2");

        await LapseAsync();
        await _talk.Platform.DrainAsync();

        Assert.Equal("expired", (await ApprovalAsync()).Status);
        Assert.Equal(QueueStatus.Completed, (await ItemAsync()).Status);
    }

    [Fact]
    public async Task A_cancelled_request_withdraws_its_question()
    {
        var item = await EnqueueAsync(new { amount = 120 });
        await _talk.InAsync(tx => _talk.Platform.Get<ActionQueue>().CancelAsync(tx, item.Id, "changed my mind", default));

        var asked = await ApprovalAsync();
        Assert.Equal("cancelled", asked.Status);
        Assert.Equal("approval_cancelled", (await ApproveAsync(asked.Id, _ann)).Problem!.Code);
        await LapseAsync();
        await _talk.Platform.DrainAsync();
        Assert.Equal("cancelled", (await ApprovalAsync()).Status);
    }

    [Theory]
    [InlineData("""{"risk_level": "extreme"}""")]
    [InlineData("""{"risk_level": "high", "quorum": 0}""")]
    [InlineData("""{"risk_level": "high", "timeout_action": "shrug"}""")]
    [InlineData("""{"risk_level": "high", "editable_fields": ["password"]}""")]
    public void A_malformed_approval_is_not_stored(string approval) =>
        Assert.Contains("approval", RegistryRules.Errors(Refund with { ApiEndpoint = "https://a.example/", Approval = JsonDocument.Parse(approval).RootElement }).Keys);

    private static (int Status, string Code) Refusal(Result<ActionApproval> answer) => (answer.Problem!.Status, answer.Problem.Code);

    private Task JoinAsync(Guid user, string name, string role) => _talk.InAsync(async tx =>
    {
        await tx.SingleAsync<Guid>("SELECT identity.ensure_user($1, $2, $3)", [user, $"{name}-{user:n}@acme.example", name], default);
        await tx.ExecuteAsync("INSERT INTO tenancy.workspace_members (tenant_id, id, user_id, role) VALUES ($1, $2, $3, $4)", [tx.TenantId, TimeProvider.System.NewId(), user, role], default);
    });

    private Task OfferAsync(object approval) => _talk.OfferAsync(Refund with { ActionId = "refund_2", ActionName = "other refund", Approval = Json.Of(approval) });

    private async Task<QueuedAction> EnqueueAsync(object values, string actionId = "refund")
    {
        var session = await _talk.SessionAsync();
        return await _talk.InAsync(async tx =>
        {
            var action = (await _talk.Platform.Get<ActionRegistry>().FindAsync(tx, _talk.AgentId, actionId, default))!;
            return await _talk.Platform.Get<ActionQueue>().EnqueueAsync(tx, new ActionRequest(action, session.SessionId, _talk.ContactId, _talk.ConversationId, "key")
            {
                Context = new EligibilityContext([], false, Parameters.None),
                Params = Json.Of(values),
            }, default);
        });
    }

    private async Task<QueuedAction> ItemAsync() => Assert.Single(await _talk.QueueAsync());

    private Task<ActionApproval> ApprovalAsync() => _talk.InAsync(tx => tx.SingleAsync<ActionApproval>("SELECT * FROM actions.approvals", [], default));

    private Task<Result<ActionApproval>> ApproveAsync(Guid id, Guid user, object? edits = null) =>
        AnswerAsync((approvals, tx) => approvals.ApproveAsync(tx, id, new Approver(user, "api"), edits is null ? null : Json.Of(edits), default));

    private Task<Result<ActionApproval>> RejectAsync(Guid id, Guid user) =>
        AnswerAsync((approvals, tx) => approvals.RejectAsync(tx, id, new Approver(user, "api"), "too much", default));

    private Task<Result<ActionApproval>> DelegateAsync(Guid id, Guid from, Guid to) =>
        AnswerAsync((approvals, tx) => approvals.DelegateAsync(tx, id, from, to, default));

    private async Task<Result<ActionApproval>> AnswerAsync(Func<DecideApproval, Transaction, Task<Result<ActionApproval>>> answer)
    {
        await using var tx = _talk.Platform.Database.Begin(_talk.Actor);
        var answered = await answer(_talk.Platform.Get<DecideApproval>(), tx);
        if (answered.IsOk)
        {
            await tx.CommitAsync(default);
        }

        return answered;
    }

    /// <summary>The time to answer is over.</summary>
    private Task LapseAsync() => _talk.InAsync(async tx =>
    {
        tx.Post("UPDATE actions.action_approvals SET expires_at = now() - interval '1 second'");
        await tx.ExecuteAsync("UPDATE work.items SET run_at = now() WHERE kind = 'actions.approval_timeout' AND state = 'ready'", [], default);
    });
}
