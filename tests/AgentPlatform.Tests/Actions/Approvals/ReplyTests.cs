using System.Text.RegularExpressions;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Actions.Approvals;

/// <summary>Approvers are asked over the agent's own channels, and answer by replying.</summary>
public sealed class ReplyTests : IAsyncLifetime
{
    private const string Ann = "+14155550111";
    private const string Bob = "+14155550122";
    private const string Stranger = "+14155550199";

    private readonly FakeSmtp _smtp = new();
    private ChannelStage _stage = null!;
    private ChannelView _sms = null!;
    private Guid _bob;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(
            services => services.ReplaceTurn<TurnHandler>(), ("Channels:Email:Smtp", _smtp.Address));
        _sms = await _stage.SmsChannelAsync();
        await PhoneAsync(_stage.Tenant.OwnerId, Ann);
        _bob = await AdminAsync("bob@acme.example", Bob);
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [Fact]
    [Behaviour("bb-approval-decide")]
    public async Task A_reply_with_the_code_decides_and_every_later_answer_is_refused_politely()
    {
        var approval = await AskAsync(quorum: 1);
        var (ann, bob) = (CodeOf(Ann), CodeOf(Bob));
        Assert.NotEqual(ann, bob);
        Assert.Contains("Approval needed (high risk): Pays the order back.", _stage.Twilio.Messages.Single(m => m.To == Ann).Body, StringComparison.Ordinal);

        Assert.Equal("Thank you. refund is approved and will run.", await TextAsync(Ann, $"Approve {ann}"));

        Assert.Equal("approved", (await ApprovalAsync(approval.Id)).Status);
        Assert.Equal([("sms", true), ("sms", false)], (await ApprovalAsync(approval.Id)).Told.EnumerateArray()
            .Select(t => (t.GetProperty("channel").GetString()!, t.GetProperty("answered_at").ValueKind != System.Text.Json.JsonValueKind.Null)));
        var vote = Assert.Single((await ApprovalAsync(approval.Id)).Decisions.EnumerateArray());
        Assert.Equal((_stage.Tenant.OwnerId, "approve", "reply"), (vote.GetProperty("user_id").GetGuid(), vote.GetProperty("decision").GetString(), vote.GetProperty("via").GetString()));
        Assert.Equal("completed", await StatusAsync(approval));
        Assert.Equal("I am sorry, nothing has changed. The request has been approved before.", await TextAsync(Ann, $"reject {ann} I changed my mind"));
        Assert.Equal("I am sorry, nothing has changed. The request has been approved before.", await TextAsync(Bob, $"no {bob}"));
        Assert.Single((await ApprovalAsync(approval.Id)).Decisions.EnumerateArray());
    }

    [Fact]
    [Behaviour("bb-approval-decide")]
    public async Task A_refusal_by_reply_keeps_its_reason_and_nothing_runs()
    {
        var approval = await AskAsync(quorum: 1);

        Assert.Equal("Thank you. refund is refused and will not run.", await TextAsync(Bob, $"REJECT {CodeOf(Bob)}, too expensive"));

        var rejected = await ApprovalAsync(approval.Id);
        Assert.Equal(("rejected", "too expensive", "cancelled"), (rejected.Status, rejected.RejectionReason, await StatusAsync(approval)));
    }

    [Fact]
    public async Task A_quorum_counts_a_member_once_whichever_way_they_answer()
    {
        var approval = await AskAsync(quorum: 2);
        var (ann, bob) = (CodeOf(Ann), CodeOf(Bob));
        var decide = _stage.Platform.Get<DecideApproval>();
        Assert.True((await InAsync(tx => decide.ApproveAsync(tx, approval.Id, new Approver(_stage.Tenant.OwnerId, "api"), null, default))).IsOk);

        Assert.Equal("I am sorry, nothing has changed. You have answered before.", await TextAsync(Ann, $"yes {ann}"));
        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);

        Assert.Equal("Thank you. refund is approved and will run.", await TextAsync(Bob, $"yes {bob}"));
        Assert.Equal("approval_decided", (await InAsync(tx => decide.ApproveAsync(tx, approval.Id, new Approver(_bob, "link"), null, default))).Problem!.Code);
    }

    [Fact]
    public async Task A_code_counts_only_from_the_address_it_was_sent_to()
    {
        var approval = await AskAsync(quorum: 1);

        Assert.Equal("I am sorry, this approval cannot be answered from here.", await TextAsync(Stranger, $"approve {CodeOf(Ann)}"));
        Assert.Equal($"I am sorry, I do not know an approval with the code {CodeOf(Ann)}.", await TextAsync(Bob, $"approve {CodeOf(Ann)}"));
        Assert.DoesNotContain("approval", await TextAsync(Stranger, "yes 000000"), StringComparison.Ordinal);

        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);
        Assert.Empty((await ApprovalAsync(approval.Id)).Decisions.EnumerateArray());
    }

    [Fact]
    public async Task Who_guesses_codes_is_not_listened_to_any_more()
    {
        var approval = await AskAsync(quorum: 1);
        for (var i = 0; i < ApprovalCodes.MostWrongAnswers; i++)
        {
            Assert.StartsWith("I am sorry, I do not know", await TextAsync(Ann, $"yes {(int.Parse(CodeOf(Ann), System.Globalization.CultureInfo.InvariantCulture) + 1 + i) % 1_000_000:D6}"), StringComparison.Ordinal);
        }

        Assert.StartsWith("I am sorry, too many wrong codes", await TextAsync(Ann, $"yes {CodeOf(Ann)}"), StringComparison.Ordinal);
        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);
    }

    [Fact]
    public async Task A_late_answer_is_refused_and_a_member_who_left_has_no_say()
    {
        var approval = await AskAsync(quorum: 1);
        var bob = CodeOf(Bob);
        await InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_approvals SET expires_at = now() - interval '1 second'", [], default));
        Assert.Equal("I am sorry, nothing has changed. The time to answer is over.", await TextAsync(Ann, $"yes {CodeOf(Ann)}"));

        await InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_approvals SET expires_at = now() + interval '1 hour'", [], default));
        await InAsync(tx => tx.ExecuteAsync("DELETE FROM tenancy.workspace_members WHERE user_id = $1", [_bob], default));
        await TextAsync(Bob, $"yes {bob}");
        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);
    }

    [Fact]
    public async Task Who_has_no_phone_is_asked_and_answers_by_mail()
    {
        var mail = await _stage.ChannelAsync(new ChannelInput("email", "Support") { ProviderConfig = Json.Of(new { from = "agent@support.example" }) });
        var cid = await AdminAsync("cid@acme.example", null);
        var approval = await AskAsync(quorum: 1, approvers: [cid]);
        Assert.Empty(_stage.Twilio.Messages);
        var asked = Assert.Single(_smtp.Mails);
        Assert.Equal(("cid@acme.example", "Approval needed: Pays the order back."), (asked.To, asked.Header("Subject")));

        using var answer = await _stage.Http.PostAsync(mail.WebhookUrl!, new StringContent(
            Json.Text(new { from = "Cid <CID@acme.example>", subject = "Re: Approval needed", text = $"Yes {Code().Match(asked.Text).Value}\n\nOn Mon, Agent <agent@support.example> wrote:\n> Reply APPROVE 000000", message_id = "<r@x>" }),
            System.Text.Encoding.UTF8, "application/json"));
        await _stage.SettleAsync();

        Assert.Equal("approved", (await ApprovalAsync(approval.Id)).Status);
        Assert.StartsWith("Thank you.", _smtp.Mails.Last().Text, StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("mk-user-constitution")]
    public async Task Who_does_not_want_to_be_asked_is_not_written_to_and_may_answer_all_the_same()
    {
        await _stage.Platform.AsAsync(
            new Actor(_stage.Tenant.TenantId, _stage.Tenant.OwnerId, "owner"),
            tx => tx.ExecuteAsync("UPDATE identity.users SET notification_settings = '{\"approvals\": false}' WHERE id = $1", [_stage.Tenant.OwnerId], default));

        var approval = await AskAsync(quorum: 1);

        Assert.Equal([Bob], _stage.Twilio.Messages.Select(m => m.To).Distinct());
        Assert.True((await InAsync(tx => _stage.Platform.Get<DecideApproval>().ApproveAsync(tx, approval.Id, new Approver(_stage.Tenant.OwnerId, "api"), null, default))).IsOk);
    }

    [Fact]
    public async Task A_delegate_is_asked_too_and_whoever_passed_it_on_is_refused()
    {
        var approval = await AskAsync(quorum: 1, approvers: [_stage.Tenant.OwnerId]);
        Assert.DoesNotContain(_stage.Twilio.Messages, m => m.To == Bob);

        Assert.True((await InAsync(tx => _stage.Platform.Get<DecideApproval>().DelegateAsync(tx, approval.Id, _stage.Tenant.OwnerId, _bob, default))).IsOk);
        await _stage.SettleAsync();

        Assert.Equal("I am sorry, nothing has changed. You have passed this question on to another member.", await TextAsync(Ann, $"yes {CodeOf(Ann)}"));
        Assert.Equal("Thank you. refund is approved and will run.", await TextAsync(Bob, $"yes {CodeOf(Bob)}"));
    }

    [Fact]
    public async Task What_is_said_besides_an_answer_is_heard_too()
    {
        await AskAsync(quorum: 1);
        foreach (var text in new[] { "hello", $"approve {CodeOf(Ann)}", "STOP" })
        {
            using var taken = await _stage.TextAsync(_sms, Ann, text);
        }

        await _stage.SettleAsync();

        Assert.Contains("Thank you. refund is approved and will run.", _stage.Twilio.Messages.Where(m => m.To == Ann).Select(m => m.Body));
        Assert.Equal(1, await _stage.CountAsync(
            $"SELECT count(*) FROM contacts.channel_consents c JOIN contacts.channel_identities i ON i.profile_id = c.profile_id AND i.channel_user_id = '{Ann}' WHERE c.opted_out"));
        Assert.Equal(3, await _stage.CountAsync($"SELECT count(DISTINCT m.turn_number) FROM conversations.messages m JOIN conversations.conversations c ON c.id = m.conversation_id AND c.participant_identifier = '{Ann}' WHERE m.direction = 'inbound'"));
    }

    [Fact]
    public async Task A_question_that_is_too_long_to_be_shown_whole_gets_no_code_but_the_address_of_its_page()
    {
        var approval = await AskAsync(quorum: 1, approvers: [_stage.Tenant.OwnerId]);
        await InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_approvals SET action_params = jsonb_build_object('reason', repeat('broken ', 300))", [], default));
        Assert.True((await InAsync(tx => _stage.Platform.Get<DecideApproval>().DelegateAsync(tx, approval.Id, _stage.Tenant.OwnerId, _bob, default))).IsOk);
        await _stage.SettleAsync();

        var asked = _stage.Twilio.Messages.Single(m => m.To == Bob).Body;
        Assert.EndsWith($"/console/approvals/{approval.Id}", asked, StringComparison.Ordinal);
        Assert.DoesNotContain("broken", asked, StringComparison.Ordinal);
        Assert.Equal(0, await _stage.CountAsync($"SELECT count(*) FROM actions.approval_codes WHERE address = '{Bob}'"));
    }

    [Theory]
    [InlineData("Bob\nReply APPROVE 000000", "a line of its own could pass for another")]
    [InlineData("x", "short")]
    public async Task A_value_with_lines_of_its_own_is_shown_on_the_page_alone(string value, string why)
    {
        var approval = await AskAsync(quorum: 1, approvers: [_stage.Tenant.OwnerId]);
        await InAsync(tx => tx.ExecuteAsync("UPDATE actions.action_approvals SET action_params = jsonb_build_object('name', $1::text)", [value], default));
        Assert.True((await InAsync(tx => _stage.Platform.Get<DecideApproval>().DelegateAsync(tx, approval.Id, _stage.Tenant.OwnerId, _bob, default))).IsOk);
        await _stage.SettleAsync();

        Assert.Equal(why == "short", _stage.Twilio.Messages.Single(m => m.To == Bob).Body.Contains($"name: {value}", StringComparison.Ordinal));
    }

    [Fact]
    [Behaviour("bb-approval-decide")]
    public async Task What_a_member_writes_in_the_approvers_place_decides_nothing_and_nobody_else_reads_the_code()
    {
        var approval = await AskAsync(quorum: 1);
        var conversation = await _stage.ValueAsync<Guid>($"SELECT id FROM conversations.conversations WHERE participant_identifier = '{Ann}'");
        Assert.True((await InAsync(tx => _stage.Platform.Get<Chat>().SayAsync(tx, conversation, new ChatText($"approve {CodeOf(Ann)}"), default))).IsOk);
        await _stage.SettleAsync();
        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);
        Assert.Equal(0L, await ReadAsync(_bob));
        Assert.Equal(1L, await ReadAsync(_stage.Tenant.OwnerId));

        Assert.Equal("Thank you. refund is approved and will run.", await TextAsync(Ann, $"approve {CodeOf(Ann)}"));

        Task<long> ReadAsync(Guid user) => _stage.Platform.AsAsync(new Actor(_stage.Tenant.TenantId, user, "admin"), tx => tx.SingleAsync<long>(
            "SELECT count(*) FROM conversations.messages WHERE conversation_id = $1 AND strpos(content, $2) > 0 AND direction = 'outbound'", [conversation, CodeOf(Ann)], default));
    }

    [Fact]
    public async Task Whoever_was_shown_other_parameters_is_asked_anew_before_their_yes_counts()
    {
        var approval = await AskAsync(quorum: 2, editable: ["amount"]);
        var old = CodeOf(Bob);
        Assert.True((await InAsync(tx => _stage.Platform.Get<DecideApproval>().ApproveAsync(tx, approval.Id, new Approver(_stage.Tenant.OwnerId, "api"), Json.Of(new { amount = "900" }), default))).IsOk);
        await _stage.SettleAsync();
        var asked = _stage.Twilio.Messages.Where(m => m.To == Bob).Select(m => m.Body).ToList();
        Assert.Equal(2, asked.Count);
        Assert.Contains("amount: 900", asked[1], StringComparison.Ordinal);

        await TextAsync(Bob, $"approve {old}");
        Assert.Equal("pending", (await ApprovalAsync(approval.Id)).Status);
        Assert.Equal("Thank you. refund is approved and will run.", await TextAsync(Bob, $"approve {Code().Match(asked[1]).Value}"));
        Assert.Equal("900", (await ApprovalAsync(approval.Id)).ActionParams.GetProperty("amount").GetString());
    }

    [Theory]
    [InlineData("approve 482113", true, "482113", null)]
    [InlineData("Yes, 482113!", true, "482113", null)]
    [InlineData("reject 482113 too expensive", false, "482113", "too expensive")]
    [InlineData("NO 482113: wait\nuntil May", false, "482113", "wait\nuntil May")]
    public void An_answer_is_read(string text, bool approves, string code, string? reason) =>
        Assert.Equal(new ApprovalReply(approves, code, reason), ApprovalReply.Read(text));

    [Theory]
    [InlineData("yes")]
    [InlineData("yes please")]
    [InlineData("yes 48211")]
    [InlineData("yes 4821133")]
    [InlineData("I say yes 482113")]
    [InlineData("482113")]
    public void What_is_no_answer_is_left_to_the_agent(string text) => Assert.Null(ApprovalReply.Read(text));

    private async Task<ActionApproval> AskAsync(int quorum, Guid[]? approvers = null, string[]? editable = null)
    {
        var action = new ActionDefinition
        {
            ActionId = "refund",
            ActionName = "refund my order",
            Description = "Pays the order back.",
            ParamsOptional = Json.Of(new[] { "amount" }),
            ResponseTemplate = "Refunded.",
            Approval = Json.Of(new { risk_level = "high", quorum, approvers, editable_fields = editable }),
        };
        await InAsync(async tx =>
        {
            Assert.True((await _stage.Platform.Get<ActionRegistry>().CreateAsync(tx, _stage.Tenant.AgentId, action, default)).IsOk);
            Assert.True((await _stage.Platform.Get<Chat>().StartAsync(tx, _stage.Tenant.AgentId, new StartChat(null, null, "refund my order"), default)).IsOk);
            return true;
        });
        await _stage.SettleAsync();
        return await InAsync(tx => tx.SingleAsync<ActionApproval>("SELECT * FROM actions.approvals", [], default));
    }

    /// <summary>What is texted back.</summary>
    private async Task<string> TextAsync(string from, string text)
    {
        var before = _stage.Twilio.Messages.Count(m => m.To == from);
        using var taken = await _stage.TextAsync(_sms, from, text);
        await _stage.SettleAsync();
        return string.Join('\n', _stage.Twilio.Messages.Where(m => m.To == from).Skip(before).Select(m => m.Body));
    }

    private string CodeOf(string phone) => Code().Match(_stage.Twilio.Messages.First(m => m.To == phone).Body).Value;

    private static Regex Code() => new(@"(?<=APPROVE )\d{6}", RegexOptions.None, TimeSpan.FromSeconds(1));

    private Task<ActionApproval> ApprovalAsync(Guid id) => InAsync(async tx => (await _stage.Platform.Get<DecideApproval>().FindAsync(tx, id, default))!);

    private Task<string> StatusAsync(ActionApproval approval) =>
        InAsync(tx => tx.SingleAsync<string>("SELECT status FROM actions.action_queue WHERE id = $1", [approval.ActionQueueId], default));

    private Task<T> InAsync<T>(Func<Transaction, Task<T>> work) => _stage.Platform.AsAsync(_stage.System, work);

    private async Task<Guid> AdminAsync(string email, string? phone)
    {
        var owner = new Actor(_stage.Tenant.TenantId, _stage.Tenant.OwnerId, "owner");
        var added = (await _stage.Platform.Get<ManageMembers>().AddAsync(owner, new AddMember(email, null, "admin"), default)).Value;
        await PhoneAsync(added.UserId, phone);
        return added.UserId;
    }

    private Task PhoneAsync(Guid userId, string? phone) => _stage.Platform.AsAsync(
        new Actor(_stage.Tenant.TenantId, userId, "admin"), tx => tx.ExecuteAsync("UPDATE identity.users SET phone = $2 WHERE id = $1", [userId, phone], default));
}
