using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Agents.ReplyTemplates;

/// <summary>
/// Set words of an agent. <see cref="Mode"/>: <c>SUGGEST</c> is offered to whoever writes the reply, <c>EXCLUSIVE</c> takes its place, <c>FALLBACK</c> is said
/// when nothing else is. <see cref="ScopeId"/>: a scenario or a step.
/// </summary>
public sealed record ReplyTemplate(
    Guid Id, Guid AgentId, string Name, string Content, string Mode, string Scope, Guid? ScopeId, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    internal const string Suggest = "SUGGEST";
    internal const string Exclusive = "EXCLUSIVE";
    internal const string Fallback = "FALLBACK";

    internal static readonly string[] Modes = [Suggest, Exclusive, Fallback];
}

/// <summary>A template as its author writes it: all of it, every time.</summary>
public sealed record ReplyTemplateInput(string? Name, string? Content, string? Mode, string? Scope, Guid? ScopeId)
{
    internal Problem? Check()
    {
        var target = Agents.Scope.TargetError(Scope ?? Agents.Scope.Global, ScopeId);
        return new Validation()
            .Text("name", Name, 255, required: true)
            .Text("content", Content, 5000, required: true)
            .Check("content", Content is null || Writing.Error(Content) is null, "Is not a template.")
            .OneOf("mode", Mode, required: false, ReplyTemplate.Modes)
            .OneOf("scope", Scope, required: false, Agents.Scope.All)
            .Check("scope_id", target is null || !Agents.Scope.All.Contains(Scope ?? Agents.Scope.Global), target ?? "")
            .Problem;
    }
}
