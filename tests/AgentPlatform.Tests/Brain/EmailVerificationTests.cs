using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Brain;
using AgentPlatform.Brain.Verification;
using AgentPlatform.Channels.Manage;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Brain;

/// <summary>Where the agent wants it, the onboarding over SMS ends with a proof of the e-mail address.</summary>
public sealed partial class EmailVerificationTests : IAsyncLifetime
{
    private const string Phone = "+14155550133";

    private readonly FakeSmtp _smtp = new();
    private ChannelStage _stage = null!;
    private ChannelView _sms = null!;

    public async Task InitializeAsync()
    {
        _stage = await ChannelStage.StartAsync(services => services.ReplaceTurn<TurnHandler>(), ("Channels:Email:Smtp", _smtp.Address));
        _sms = await _stage.SmsChannelAsync();
        await InAsync(tx => _stage.Platform.Get<ActionRegistry>().CreateAsync(tx, _stage.Tenant.AgentId, Onboarding.Default with { ParamsRequired = Json.Of(new[] { "first_name", "email" }) }, default));
        Assert.True((await _stage.Platform.Get<ManageAgents>().ConfigureAsync(_stage.System, _stage.Tenant.AgentId, new(null, VerifyEmail: true), IfMatch.Any, default)).IsOk);
    }

    public async Task DisposeAsync()
    {
        await _stage.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [Fact]
    [Behaviour("yp-email-verification", "ps-channel-identity-verified")]
    public async Task The_code_of_the_mail_verifies_the_contact_and_a_wrong_one_does_not()
    {
        await MailChannelAsync();
        Assert.StartsWith("Almost done: I am sending a code to ada@engines.example.", await OnboardAsync(), StringComparison.Ordinal);
        var mail = Assert.Single(_smtp.Mails);
        Assert.Equal("ada@engines.example", mail.To);
        Assert.False((await ContactAsync()).Verified);
        Assert.Equal("none", await IdentityAsync());

        Assert.StartsWith("That is not the code.", await TextAsync(Wrong(mail)), StringComparison.Ordinal);
        Assert.StartsWith("Please send me the six digits", await TextAsync("what?"), StringComparison.Ordinal);
        Assert.False((await ContactAsync()).Verified);
        Assert.Equal("Thank you Ada, you are all set!", await TextAsync($"it is {CodeOf(mail).Insert(3, " ")}"));

        var contact = await ContactAsync();
        Assert.Equal((true, "concierge", "ada@engines.example"), (contact.Verified, contact.PocAgentType, contact.Email));
        Assert.Equal("true", await IdentityAsync());
        Assert.StartsWith("Hello Ada", await TextAsync("hi"), StringComparison.Ordinal);
    }

    [Fact]
    [Behaviour("bb-verify-email-token", "yp-email-verification")]
    public async Task The_link_of_the_mail_works_once_and_not_for_ever_and_is_kept_as_a_hash()
    {
        await MailChannelAsync();
        await OnboardAsync();
        var token = Link().Match(_smtp.Mails.Single().Text).Value;
        var verify = _stage.Platform.Get<VerifyEmail>();

        Assert.Equal("ada@engines.example", (await verify.ShowAsync(token, default))!.Email);
        Assert.Null(await verify.ShowAsync(token + "0", default));
        Assert.Equal(1L, await _stage.CountAsync($"SELECT count(*) FROM contacts.email_verification_tokens WHERE token_hash <> '{token}' AND code_hash !~ '^[0-9]{{6}}$' AND verified_at IS NULL"));
        Assert.False((await ContactAsync()).Verified);

        var texts = _stage.Twilio.Messages.Count;
        Assert.True(await verify.ConfirmAsync(token, default));
        Assert.False(await verify.ConfirmAsync(token, default));
        await _stage.SettleAsync();

        Assert.True((await ContactAsync()).Verified);
        Assert.Equal("Thank you, ada@engines.example is confirmed. You are all set!", _stage.Twilio.Messages.Skip(texts).Single().Body);
        Assert.Null(await verify.ShowAsync(token, default));
        Assert.Equal(1L, await _stage.CountAsync("SELECT count(*) FROM contacts.email_verification_tokens WHERE verified_at IS NOT NULL"));
        Assert.StartsWith("Hello Ada", await TextAsync("hi"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_code_that_is_over_or_was_guessed_at_is_replaced_and_a_new_address_gets_its_own()
    {
        await MailChannelAsync();
        await OnboardAsync();
        var first = _smtp.Mails.Single();
        for (var i = 0; i < EmailProof.MostAttempts; i++)
        {
            await TextAsync(Wrong(first));
        }

        Assert.StartsWith("That code is no longer valid.", await TextAsync(CodeOf(first)), StringComparison.Ordinal);
        Assert.Equal(2, _smtp.Mails.Count);
        await InAsync(tx => tx.ExecuteAsync("UPDATE contacts.email_verification_tokens SET expires_at = now() - interval '1 second'", [], default));
        Assert.StartsWith("That code is no longer valid.", await TextAsync(CodeOf(_smtp.Mails.Last())), StringComparison.Ordinal);
        Assert.False(await _stage.Platform.Get<VerifyEmail>().ConfirmAsync(Link().Match(_smtp.Mails.ElementAt(1).Text).Value, default));

        Assert.StartsWith("Almost done: I am sending a code to ada@home.example.", await TextAsync("sorry, it is ada@home.example"), StringComparison.Ordinal);
        Assert.Equal("ada@home.example", _smtp.Mails.Last().To);
        Assert.StartsWith("That is not the code.", await TextAsync(CodeOf(_smtp.Mails.ElementAt(2)) == CodeOf(_smtp.Mails.Last()) ? Wrong(_smtp.Mails.Last()) : CodeOf(_smtp.Mails.ElementAt(2))), StringComparison.Ordinal);
        Assert.Equal("Thank you Ada, you are all set!", await TextAsync(CodeOf(_smtp.Mails.Last())));
        Assert.Equal("ada@home.example", (await ContactAsync()).Email);
    }

    [Fact]
    public async Task Whoever_asks_for_mail_after_mail_or_cannot_get_one_is_handed_to_a_colleague()
    {
        Assert.Equal("I cannot send that mail at the moment. A colleague will help you here.", await OnboardAsync());

        Assert.Empty(_smtp.Mails);
        Assert.Equal("", await TextAsync("hello?"));
        Assert.Equal("human", await InAsync(tx => tx.SingleAsync<string>("SELECT handled_by FROM conversations.conversations WHERE channel = 'sms'", [], default)));
    }

    [Fact]
    public async Task Proofs_are_listed_without_their_secrets_move_with_a_merge_and_do_not_pile_up()
    {
        await MailChannelAsync();
        await OnboardAsync();
        await TextAsync("resend");
        var (contact, proofs) = ((await ContactAsync()).Id, _stage.Platform.Get<EmailProofs>());
        Assert.Equal(["ada@engines.example", "ada@engines.example"], (await InAsync(tx => proofs.ListAsync(tx, contact, default))).Select(p => p.Email));

        await InAsync(tx => tx.ExecuteAsync("UPDATE contacts.email_verification_tokens SET created_at = now() - interval '2 hours'", [], default));
        await TextAsync("resend");
        Assert.Single(await InAsync(tx => proofs.ListAsync(tx, contact, default)));

        var other = await InAsync(tx => _stage.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress(ChannelAddress.Sms, "+14155550144"), "Ada", default));
        Assert.True((await _stage.Platform.Get<MergeContacts>().HandleAsync(_stage.System, contact, other.Id, default)).IsOk);
        Assert.Single(await InAsync(tx => proofs.ListAsync(tx, other.Id, default)));
    }

    private async Task MailChannelAsync() =>
        await _stage.ChannelAsync(new ChannelInput("email", "Support") { ProviderConfig = Json.Of(new { from = "agent@support.example" }) });

    private async Task<string> OnboardAsync()
    {
        await TextAsync("hi");
        await TextAsync("Ada");
        return await TextAsync("ada@engines.example");
    }

    private async Task<string> TextAsync(string text)
    {
        var before = _stage.Twilio.Messages.Count;
        using var taken = await _stage.TextAsync(_sms, Phone, text);
        await _stage.SettleAsync();
        return string.Join('\n', _stage.Twilio.Messages.Skip(before).Select(m => m.Body));
    }

    private Task<Contact> ContactAsync() => InAsync(async tx => (await _stage.Platform.Get<ContactDirectory>().FindByAddressAsync(tx, new ChannelAddress(ChannelAddress.Sms, Phone), default))!);

    private Task<string> IdentityAsync() => InAsync(tx => tx.SingleAsync<string>(
        "SELECT coalesce((SELECT verified::text FROM contacts.channel_identities WHERE channel = 'email' AND channel_user_id = 'ada@engines.example'), 'none')", [], default));

    private Task<T> InAsync<T>(Func<Transaction, Task<T>> work) => _stage.Platform.AsAsync(_stage.System, work);

    private static string CodeOf(FakeMail mail) => Code().Match(mail.Text).Value;

    private static string Wrong(FakeMail mail) => CodeOf(mail)[..5] + (CodeOf(mail)[5] == '9' ? '0' : '9');

    [GeneratedRegex(@"(?<= is )\d{6}(?=\.)", RegexOptions.None, 1000)]
    private static partial Regex Code();

    [GeneratedRegex("(?<=/verify/)[0-9a-f]{64}", RegexOptions.None, 1000)]
    private static partial Regex Link();
}
