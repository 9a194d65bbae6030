using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Tasks;
using AgentPlatform.Tenancy;
using AgentPlatform.Tenancy.Instances;

namespace AgentPlatform.Brain;

/// <summary>
/// What the brain answers a turn with: what to say and ask, what to do, whether to hand over, what to remember. Control is in the
/// types, never in the text.
/// </summary>
public sealed record Envelope(string Role)
{
    /// <summary>What was understood, in the order it was said.</summary>
    public IReadOnlyList<Intent> Intents { get; init; } = [];

    public IReadOnlyList<string> Say { get; init; } = [];

    public Question? Ask { get; init; }

    public IReadOnlyList<Step> Do { get; init; } = [];

    /// <summary>Why a human should take over; null keeps the conversation.</summary>
    public string? Handoff { get; init; }

    public IReadOnlyList<Memory> Remember { get; init; } = [];

    /// <summary>The confirmation of an opt-out and the answer to HELP reach also whom nothing else may reach.</summary>
    public bool EvenIfOptedOut { get; init; }

    /// <summary>The task after this turn, for tasks that are not queued actions (onboarding).</summary>
    public ActiveTask? Task { get; init; }

    /// <summary>What becomes of the talk's scenario; null leaves it where it is.</summary>
    internal ScenarioMove? Scenario { get; init; }

    /// <summary>The scenario's question, to come back to when nothing else is asked.</summary>
    internal string? Resume { get; init; }

    /// <summary>The contact said something new, which a language model may understand better; not so an answer to a question of ours.</summary>
    internal bool IsOpen { get; init; }

    /// <summary>What language models counted and cost for this turn; null when none was asked.</summary>
    internal JsonElement? TokenUsage { get; init; }

    /// <summary>What became of the rules whose conditions held.</summary>
    internal IReadOnlyList<RuleVerdict> Rules { get; init; } = [];

    /// <summary>The session's variables after the rules; null when they set none.</summary>
    internal IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }

    /// <summary>The template that stands in for a reply that there was none of.</summary>
    internal ReplyTemplate? Fallback { get; init; }

    internal static Envelope Silent(string role, params Intent[] intents) => new(role) { Intents = intents };
}

/// <summary>A question; the sheet says which short replies answer it.</summary>
public sealed record Question(string Text, AnswerSheet? Sheet = null);

/// <summary>One thing the contact wants, as it goes into the ledger.</summary>
public sealed record Intent(string Type, decimal Confidence)
{
    public string? Canonical { get; init; }

    /// <summary>exact, synonym, fuzzy, model or not_found; null for intents that are no action.</summary>
    public string? MatchType { get; init; }

    public string? Reasoning { get; init; }

    public IReadOnlyDictionary<string, JsonElement> Entities { get; init; } = new Dictionary<string, JsonElement>(StringComparer.Ordinal);

    /// <summary>What came of it when the turn itself settles it; null when an action will.</summary>
    public string? Resolution { get; init; }

    public string? ResponseType { get; init; }
}

/// <summary>Something to do with the action queue, for the intent at that place of the list.</summary>
public abstract record Step(int Intent)
{
    public sealed record Enqueue(int Intent, ActionDefinition Action, JsonElement Params) : Step(Intent);

    /// <summary>Values for a request that waits for them.</summary>
    public sealed record Supply(int Intent, Guid QueuedId, JsonElement Values) : Step(Intent);

    public sealed record Cancel(int Intent, Guid QueuedId) : Step(Intent);

    /// <summary>No action does it: a task for the agency.</summary>
    public sealed record OpenTask(int Intent, TaskRequest Request) : Step(Intent);
}

/// <summary>Something to keep about the contact or the talk.</summary>
public abstract record Memory
{
    private Memory()
    {
    }

    /// <summary>A value the contact gave for one of their fields.</summary>
    public sealed record Field(string Name, string Value) : Memory;

    public sealed record Consent(bool OptedOut, string Source) : Memory;

    public sealed record Verified : Memory;

    /// <summary>A code and a link go to the address.</summary>
    public sealed record ProveEmail(string Email) : Memory;

    public sealed record CodeMissed(Guid ProofId) : Memory;

    /// <summary>The code came back: the address is the contact's, and the contact verified.</summary>
    public sealed record EmailProved(EmailProof Proof) : Memory;

    public sealed record Presented(IReadOnlyList<Guid> Priorities) : Memory;

    public sealed record Note(string Name, object Value) : Memory;

    /// <summary>The item of an offered list that the contact picked.</summary>
    public sealed record Selected(JsonElement Item) : Memory;
}

/// <summary>All that a decision may look at.</summary>
internal sealed record TurnInput
{
    /// <summary>What was said since the last turn, one message after the other.</summary>
    public required IReadOnlyList<string> Messages { get; init; }

    public required string Text { get; init; }

    public required string Channel { get; init; }

    public required int Turn { get; init; }

    public required DateOnly Today { get; init; }

    public required DateTimeOffset Now { get; init; }

    public required SessionState State { get; init; }

    public required Contact Contact { get; init; }

    public required Agent Agent { get; init; }

    public required IReadOnlyList<ActionDefinition> Actions { get; init; }

    /// <summary>The agent's scenarios.</summary>
    public IReadOnlyList<Scenario> Scenarios { get; init; } = [];

    /// <summary>The agent's rules and templates.</summary>
    public RuleBook Rules { get; init; } = RuleBook.Empty;

    /// <summary>The instance of the agent that takes the turn; null where nobody answers.</summary>
    public AgentInstance? Instance { get; init; }

    /// <summary>How the agent's language model is told what it is told.</summary>
    public PromptWording Prompt { get; init; } = PromptWording.BuiltIn;

    /// <summary>What the company is and how it speaks, one fact a line.</summary>
    public IReadOnlyList<string> Foundation { get; init; } = [];

    /// <summary>Templates to offer to whoever writes the reply, filled in.</summary>
    internal IReadOnlyList<string> Suggestions => Wording.Suggestions(this);

    /// <summary>Where the talk stands in a scenario; null while it is in none.</summary>
    public ScenarioPlace? Place { get; init; }

    /// <summary>The agent's: how the session's variables begin and change.</summary>
    public DeclaredVariables Declared { get; init; } = DeclaredVariables.None;

    /// <summary>The session's.</summary>
    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } = new Dictionary<string, JsonElement>(StringComparer.Ordinal);

    public IReadOnlyList<ContactPriority> Priorities { get; init; } = [];

    /// <summary>The proof of their e-mail address that the contact was asked for last.</summary>
    public EmailProof? Proof { get; init; }

    public bool OptedOut { get; init; }

    public bool RequireConfirmation { get; init; }

    /// <summary>A request that no action fits becomes a task.</summary>
    public bool MakesTasks { get; init; }

    /// <summary>The latest of the messages as it came in; null in the web chat.</summary>
    public Guid? InboundMessageId { get; init; }

    /// <summary>The agent's trained classifier; null while it has none.</summary>
    public AgentModel? Model { get; init; }

    public required BrainOptions Options { get; init; }

    internal string Role => Persona.Of(Contact, Actions);

    internal ActionDefinition? FindAction(string actionId) => Actions.FirstOrDefault(action => action.ActionId == actionId);
}
