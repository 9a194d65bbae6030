using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Running;

/// <summary>All that decides what an instance does next.</summary>
internal sealed record RunState(WorkflowInstance Instance, WorkflowDefinition Definition, IReadOnlyList<WorkflowStep> Rows, IReadOnlyList<WorkflowSignal> Signals)
{
    internal WorkflowStep? Row(string stepId) => Rows.FirstOrDefault(row => row is { Iteration: 0, IsUndo: false } && row.StepId == stepId);

    internal IEnumerable<WorkflowStep> Elements(string stepId) => Rows.Where(row => row is { Iteration: > 0, IsUndo: false } && row.StepId == stepId);

    /// <summary>The rows that did something by themselves: not the for-each around its elements.</summary>
    internal IEnumerable<WorkflowStep> Doings => Rows.Where(row => !row.IsUndo && (row.Iteration > 0 || Definition.Step(row.StepId).ForEach is null));

    internal bool IsDone(string stepId) => Row(stepId) is { IsDone: true };

    /// <summary>What mappings and conditions see.</summary>
    internal JsonElement Scope(JsonElement? item = null, int index = 0, WorkflowStep? undone = null)
    {
        var scope = new JsonObject
        {
            ["input"] = Node(Instance.Input),
            ["instance_id"] = Instance.WorkflowInstanceId,
            ["contact_id"] = Instance.ContactId.ToString(),
            ["conversation_id"] = Instance.ConversationId.ToString(),
            ["agent_id"] = Instance.AgentId.ToString(),
            ["steps"] = new JsonObject(Rows.Where(row => row is { Iteration: 0, IsUndo: false, Status: "completed" })
                .Select(row => KeyValuePair.Create(row.StepId, Node(row.Result)))),
        };
        if (item is { } element)
        {
            scope["item"] = Node(element);
            scope["index"] = index;
        }

        if (undone is not null)
        {
            scope["step"] = new JsonObject { ["input"] = Node(undone.Input), ["result"] = Node(undone.Result) };
        }

        return Json.Of(scope);
    }

    /// <summary>The list of a for-each, kept as the input of its row.</summary>
    internal static IReadOnlyList<JsonElement> Items(WorkflowStep forEach) => [.. forEach.Input!.Value.EnumerateArray()];

    private static JsonNode? Node(JsonElement? value) => value is { ValueKind: not JsonValueKind.Undefined } some ? JsonNode.Parse(some.GetRawText()) : null;
}
