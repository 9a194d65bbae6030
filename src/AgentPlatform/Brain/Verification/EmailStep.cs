using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Verification;

/// <summary>
/// Pure: the last step of the onboarding, where the agent wants proof of the e-mail address. A code was sent there: it is texted back, or the
/// link in the mail is opened. A new address and "send it again" begin anew.
/// </summary>
internal static partial class EmailStep
{
    /// <summary>What the task waits for.</summary>
    internal const string Code = "email_code";

    internal static bool IsWaiting(TurnInput input) =>
        input.Agent.VerifyEmail && input.State.ActiveTask is { CanonicalAction: Onboarding.ActionId, ParamsMissing: [Code] };

    internal static Envelope Begin(TurnInput input, Intent intent, IReadOnlyList<Memory> fields, string email, ActiveTask task) => new(input.Role)
    {
        Intents = [intent with { ResponseType = "question", Resolution = "proof of the e-mail address asked for" }],
        Ask = new Question(Sent(email)),
        Remember = [.. fields, new Memory.ProveEmail(email)],
        Task = task with { ParamsMissing = [Code] },
    };

    internal static Envelope Decide(TurnInput input, string thanks)
    {
        var task = input.State.ActiveTask!;
        var email = input.Contact.Email ?? "";
        var intent = new Intent("provide_information", 0.95m) { Canonical = Onboarding.ActionId, Resolution = "proof of the e-mail address asked for", ResponseType = "question" };
        if (Entities.Find(input.Text, input.Today).First(Entities.Email) is { } other && !string.Equals(other, email, StringComparison.OrdinalIgnoreCase))
        {
            var corrected = task with { ParamsCollected = new Dictionary<string, JsonElement>(task.ParamsCollected, StringComparer.Ordinal) { ["email"] = Json.Of(other) } };
            return Begin(input, intent with { Reasoning = "another address" }, [new Memory.Field("email", other)], other, corrected);
        }

        if (SixDigits().Match(input.Text) is { Success: true } digits)
        {
            return input.Proof is { } proof && proof.IsOpen(input.Now)
                ? Judge(input, intent, proof, digits.Value.Replace(" ", "", StringComparison.Ordinal), thanks)
                : Begin(input, intent with { Reasoning = "the code is no longer valid" }, [], email, task) with { Say = ["That code is no longer valid."] };
        }

        return Again().IsMatch(input.Text)
            ? Begin(input, intent with { Reasoning = "asked for another code" }, [], email, task)
            : new(input.Role) { Intents = [intent], Ask = new Question($"Please send me the six digits from the mail to {email}. Say \"resend\" for another mail, or tell me the right address."), Task = task };
    }

    /// <summary>No mail could be sent: a colleague takes over.</summary>
    internal static Envelope Unsent(Envelope envelope, string email) => envelope with
    {
        Say = ["I cannot send that mail at the moment. A colleague will help you here."],
        Ask = null,
        Task = null,
        Handoff = $"the e-mail address {email} could not be verified",
    };

    private static Envelope Judge(TurnInput input, Intent intent, Contacts.EmailProof proof, string code, string thanks) => proof.Accepts(code)
        ? new(input.Role)
        {
            Intents = [intent with { ResponseType = "text", Resolution = "e-mail address proved" }],
            Say = [thanks],
            Remember = [new Memory.EmailProved(proof)],
        }
        : new(input.Role)
        {
            Intents = [intent with { Resolution = "wrong code" }],
            Ask = new Question("That is not the code. Please look again: it has six digits. Say \"resend\" for another mail."),
            Remember = [new Memory.CodeMissed(proof.Id)],
            Task = input.State.ActiveTask,
        };

    private static string Sent(string email) => $"Almost done: I am sending a code to {email}. Send it to me here, or open the link in the mail.";

    [GeneratedRegex(@"(?<!\d)\d{3} ?\d{3}(?!\d)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex SixDigits();

    [GeneratedRegex(@"\b(?:resend|re-send|again|another (?:code|mail|one)|new code|(?:did not|didn'?t|haven'?t|no) (?:get|got|gotten|received?|mail|code))\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Again();
}
