using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;

namespace AgentPlatform.Brain.Understanding;

/// <summary>
/// The kinds of values an agent knows beside the common ones: its actions' parameters, told by the list of what they may be, by a pattern, or by
/// examples of how they are said. The type of such an entity is the parameter's name.
/// </summary>
internal static class CustomEntities
{
    internal static IReadOnlyList<Entity> Find(IReadOnlyList<ActionDefinition> actions, string text) =>
    [
        .. from action in actions
           from name in action.Required.Concat(action.Optional)
           let value = ParameterReader.Told(action.Rule(name), text)
           where value is not null
           group name by (Name: name, Value: value) into found
           let start = text.IndexOf(found.Key.Value, StringComparison.OrdinalIgnoreCase)
           where start >= 0
           select new Entity(found.Key.Name, found.Key.Value, text.Substring(start, found.Key.Value.Length), start),
    ];
}
