using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;

namespace AgentPlatform.Brain;

/// <summary>Who answers: the bouncer until the contact is verified (where the agent onboards), then concierge or innovator.</summary>
internal static class Persona
{
    internal const string Bouncer = "bouncer";
    internal const string Concierge = "concierge";
    internal const string Innovator = "innovator";
    internal const string Agent = "agent";

    internal static string Of(Contact contact, IReadOnlyList<ActionDefinition> actions) =>
        contact.Verified ? contact.PocAgentType == Innovator ? Innovator : Concierge
        : actions.Any(action => action.ActionId == Onboarding.ActionId) ? Bouncer
        : Agent;

    internal static string Greeting(TurnInput input) => input.Role switch
    {
        Innovator => $"Hello {FirstName(input)}, innovator desk here. Tell me what you are building or whom you want to reach{At(input.Contact)}, and I will note it for your profile.",
        Concierge => $"Hello {FirstName(input)}, good to hear from you. What can I do for you?",
        Bouncer => $"Hi, this is {input.Agent.Name}. Before we start I need a few details.",
        _ => $"Hi, this is {input.Agent.Name}. What can I do for you?",
    };

    internal static string NotFound(TurnInput input, bool offersFollow) => input.Role switch
    {
        Innovator => "Noted for your innovator profile." + (offersFollow ? " I can also:" : ""),
        _ when offersFollow => "I did not quite get that. You can ask me to:",
        _ => "I did not quite get that. Could you say it in other words?",
    };

    internal static string Thanks(TurnInput input) => input.Role == Innovator ? "My pleasure. Keep building!" : "You are welcome!";

    internal static string Goodbye => "Talk to you soon!";

    private static string FirstName(TurnInput input) => input.Contact.FirstName ?? input.Contact.DisplayName ?? "there";

    private static string At(Contact contact) => contact.Company is { Length: > 0 } company ? $" at {company}" : "";
}
