using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Npgsql;

namespace AgentPlatform.Agents.Variables;

/// <summary>What operators do to variables: declare them, and set them in a talk from outside.</summary>
internal sealed partial class ManageVariables(Database database, VariableStore variables, AgentDirectory agents, ActionRegistry registry, SessionStore sessions, EventStore events, TimeProvider clock)
{
    private const int MostInATalk = 200;

    internal async Task<Result<Variable>> DeclareAsync(Actor actor, Guid agentId, VariableInput input, CancellationToken ct)
    {
        if (Check(input, isNew: true) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent");
        }

        if (await NoToolAsync(tx, agentId, input, ct) is { } noTool)
        {
            return noTool;
        }

        var id = clock.NewId();
        try
        {
            await tx.ExecuteAsync(Sql.Declare, [id, agentId, input.Name, input.Description, input.DefaultValue, input.UpdatePolicy ?? "REPLACE", string.IsNullOrEmpty(input.ResolverToolId) ? null : input.ResolverToolId], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_variables_tenant_agent_name")
        {
            return Problem.Conflict("variable_name_taken", "The agent has a variable of this name.");
        }

        return await DoneAsync(tx, id, "variable.declared", ct);
    }

    internal async Task<Result<Variable>> ChangeAsync(Actor actor, Guid id, VariableInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(input, isNew: false) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ifMatch, ct) is { } problem)
        {
            return problem;
        }

        if (await NoToolAsync(tx, (await variables.FindAsync(tx, id, ct))!.AgentId, input, ct) is { } noTool)
        {
            return noTool;
        }

        tx.Post(Sql.Change, id, input.Description, input.DefaultValue, input.UpdatePolicy, input.ResolverToolId);
        return await DoneAsync(tx, id, "variable.changed", ct);
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ifMatch, ct) is { } problem)
        {
            return problem;
        }

        tx.Post(Sql.Hide, id, clock.GetUtcNow());
        events.Append(tx, new NewEvent("variable.deleted", "variable", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>What another system knows of the talk: each value meets the old one by its variable's policy.</summary>
    internal async Task<Result<ConversationSession>> SetAsync(Actor actor, Guid sessionId, IReadOnlyDictionary<string, JsonElement> values, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await sessions.FindAsync(tx, sessionId, ct) is not { } session)
        {
            return Problem.NotFound("session");
        }

        var updated = (await variables.OfAgentAsync(tx, session.AgentId, ct)).Update(session.Variables, values);
        var invalid = new Validation().Check("variables", values.Keys.All(name => Name().IsMatch(name)), "Are named with lower-case letters, digits and underscores.")
            .Check("variables", updated.Count <= MostInATalk, $"Are at most {MostInATalk} in a talk.").Problem;
        if (invalid is not null)
        {
            return invalid;
        }

        sessions.Save(tx, session with { Variables = updated });
        var saved = await sessions.FindAsync(tx, sessionId, ct);
        await tx.CommitAsync(ct);
        return saved!;
    }

    private async Task<Problem?> NoToolAsync(Transaction tx, Guid agentId, VariableInput input, CancellationToken ct) =>
        string.IsNullOrEmpty(input.ResolverToolId) || (await registry.ActiveAsync(tx, agentId, ct)).FirstOrDefault(action => action.ActionId == input.ResolverToolId) is { } tool && ReadAction.OnlyReads(tool)
            ? null
            : Problem.Invalid("resolver_tool_id", "Names no active action of the agent that only reads: an http GET without approval and acknowledgement.");

    private async Task<Problem?> LockedAsync(Transaction tx, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        await variables.LockAsync(tx, id, ct) is { } variable ? ifMatch.Check(variable.UpdatedAt) : Problem.NotFound("variable");

    private async Task<Result<Variable>> DoneAsync(Transaction tx, Guid id, string happened, CancellationToken ct)
    {
        var variable = (await variables.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "variable", id, new { agent_id = variable.AgentId, name = variable.Name, update_policy = variable.UpdatePolicy }));
        await tx.CommitAsync(ct);
        return variable;
    }

    private static Problem? Check(VariableInput input, bool isNew) => new Validation()
        .Check("name", isNew ? input.Name is not null && Name().IsMatch(input.Name) : input.Name is null, isNew ? "Must be a name of lower-case letters, digits and underscores." : "Cannot be changed: declare another variable.")
        .Text("description", input.Description, 5000)
        .Text("default_value", input.DefaultValue, 10_000)
        .Text("resolver_tool_id", input.ResolverToolId, 255)
        .OneOf("update_policy", input.UpdatePolicy, required: false, Variable.Policies)
        .Problem;

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,99}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Name();

    private static class Sql
    {
        internal const string Declare =
            """
            INSERT INTO agents.variables (tenant_id, id, agent_id, name, description, default_value, update_policy, resolver_tool_id)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7)
            """;

        internal const string Change =
            """
            UPDATE agents.variables
            SET description = coalesce($2, description), default_value = coalesce($3, default_value), update_policy = coalesce($4, update_policy),
                resolver_tool_id = nullif(coalesce($5, resolver_tool_id), '')
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Hide = "UPDATE agents.variables SET deleted_at = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}
