using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Chaos.Flows;

/// <summary>The workflow of six steps, the one it calls, and the actions of both, which call the provider.</summary>
internal static class TripDefinitions
{
    internal const string Trip = "trip";
    internal const string Payment = "payment";
    internal const string Event = "confirmed";
    internal const int SleepSeconds = 1;

    private static readonly string[] Names = ["reserve", "release", "charge", "repay", "decline", "issue", "refund", "deny", "depart"];
    private static readonly string[] Parameters = ["n"];
    private static readonly JsonElement Whose = Map(("n", "$.input.n"));

    internal static IReadOnlyList<(Workflow Workflow, WorkflowDefinition Definition)> All(Guid agentId) =>
    [
        (Of(agentId, Payment), new WorkflowDefinition
        {
            Steps =
            [
                new() { Id = "charge", Action = "charge", Input = Whose, Undo = new("repay", Whose, null) },
                new() { Id = "clear", Type = StepType.Sleep, SleepSeconds = SleepSeconds },
                new() { Id = "decline", Action = "decline", Input = Whose, When = Ends(TripEnd.Declined) },
                new() { Id = "issue", Action = "issue", Input = Whose },
            ],
        }),
        (Of(agentId, Trip), new WorkflowDefinition
        {
            Steps =
            [
                new() { Id = "reserve", Action = "reserve", Input = Whose, Undo = new("release", Whose, null) },
                new() { Id = "rest", Type = StepType.Sleep, SleepSeconds = SleepSeconds },
                new() { Id = "payment", Type = StepType.Workflow, Workflow = Payment, Input = Map(("n", "$.input.n"), ("end", "$.input.end")), Undo = new("refund", Whose, null) },
                new() { Id = "confirmed", Type = StepType.Wait, Event = Event },
                new() { Id = "deny", Action = "deny", Input = Whose, When = Ends(TripEnd.TurnedBack) },
                new() { Id = "depart", Action = "depart", Input = Whose, Reversibility = Reversibility.Final },
            ],
        }),
    ];

    internal static IEnumerable<ActionDefinition> Actions(string provider) =>
        Names.Select(name => new ActionDefinition
        {
            ActionId = name,
            ActionName = name,
            DisplayName = name,
            ParamsOptional = JsonSerializer.SerializeToElement(Parameters),
            ExecutionType = "http",
            ApiMethod = "POST",
            ApiEndpoint = $"{provider}/steps/{name}",
            ApiIdempotent = true,
            ApiBody = Map(("n", "{{n}}")),
            ResponseType = "none",
        });

    private static Workflow Of(Guid agentId, string id) => new() { WorkflowId = id, AgentId = agentId, Name = id, Category = "chaos", Source = "api", IsActive = true };

    private static JsonElement Ends(TripEnd end) => JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["path"] = "$.input.end", ["equals"] = end.ToString() });

    private static JsonElement Map(params (string Name, string From)[] members) => JsonSerializer.SerializeToElement(members.ToDictionary(m => m.Name, m => m.From));
}
