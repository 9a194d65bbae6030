using System.Globalization;
using AgentPlatform.Api;
using AgentPlatform.Campaigns.Outcomes;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>What members do to moves. A move is changed while it is pending; what it becomes after that is decided by its run, or by a member for what is theirs to do.</summary>
internal sealed class ManageMoves(Database database, SettleMove settle, RunningMoves running, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Move>> CreateAsync(Actor actor, MoveInput input, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (input.Problem ?? await CampaignProblemAsync(tx, input, ct)) is { } invalid
            ? invalid
            : await StoreAsync(tx, Sql.Create, [clock.NewId(), .. Values(input), actor.Author()], "move.created", ct);
    }

    internal async Task<Result<Move>> ReplaceAsync(Actor actor, Guid id, MoveInput input, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (input.Problem ?? await CampaignProblemAsync(tx, input, ct) ?? (await LockAsync(tx, id, ifMatch, "changed", "pending", ct)).Problem) is { } refused
            ? refused
            : await StoreAsync(tx, Sql.Replace, [id, .. Values(input)], "move.changed", ct);
    }

    internal async Task<Result<Guid>> DeleteAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        _ = await CampaignStore.HoldOfAsync(tx, id, ct);
        if (await MoveStore.LockAsync(tx, id, ct) is not { } move)
        {
            return Problem.NotFound("move");
        }

        if ((ifMatch.Check(move.UpdatedAt) ?? (move.Status == "in_progress" ? Wrong(move, "deleted") : null)) is { } refused)
        {
            return refused;
        }

        await running.ForgetAsync(tx, id, ct);
        tx.Post(Sql.Delete, id);
        events.Append(tx, new NewEvent("move.deleted", "move", id, new { campaign_id = move.CampaignId }));
        AskForMetrics(tx, move);
        await tx.CommitAsync(ct);
        return id;
    }

    /// <summary>Begins a run: the work engine carries it on, or a member does what is theirs.</summary>
    internal async Task<Result<Move>> RunAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var campaign = await CampaignStore.HoldOfAsync(tx, id, ct);
        var pending = await LockAsync(tx, id, ifMatch, "run", "pending", ct);
        if ((pending.Problem ?? Hindrance(pending.Value, campaign)) is { } refused)
        {
            return refused;
        }

        var runId = clock.NewId();
        var execution = ExecutionId(pending.Value, runId, clock.GetUtcNow());
        var move = await tx.SingleAsync<Move>(Sql.Begin, [id, execution], ct);
        if (move.Type != Move.Admin)
        {
            work.Enqueue(tx, RunMove.Work(new MoveWork(id, runId, execution), runId));
        }

        return await DoneAsync(tx, move, "move.started", ct);
    }

    internal Task<Result<Move>> CompleteAsync(Actor actor, Guid id, CompleteMove body, IfMatch ifMatch, CancellationToken ct) =>
        EndAsync(actor, id, ifMatch, "completed", body.Problem, (tx, move) => settle.CompleteAsync(tx, move, body.Content, ct), ct);

    internal Task<Result<Move>> FailAsync(Actor actor, Guid id, FailMove body, IfMatch ifMatch, CancellationToken ct) =>
        EndAsync(actor, id, ifMatch, "failed", body.Problem, (tx, move) => settle.FailAsync(tx, move, body.Reason!, ct), ct);

    /// <summary>The seed's form; the end of a UUID keeps two of one second apart.</summary>
    internal static string ExecutionId(Move move, Guid runId, DateTimeOffset now) =>
        string.Create(CultureInfo.InvariantCulture, $"exec_{now.UtcDateTime:yyyyMMdd_HHmmss}_{move.Type}_{runId.ToString("n")[^12..]}");

    private async Task<Result<Move>> EndAsync(
        Actor actor, Guid id, IfMatch ifMatch, string wanted, Problem? invalid, Func<Transaction, Move, Task<Move>> end, CancellationToken ct)
    {
        if (invalid is not null)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var open = await LockAsync(tx, id, ifMatch, wanted, "in_progress", ct);
        if (!open.IsOk)
        {
            return open;
        }

        if (open.Value.Type != Move.Admin)
        {
            return Problem.Conflict("move_is_not_a_members", "Only a move of type admin is a member's to end; the others end by their runs.");
        }

        var ended = await end(tx, open.Value);
        await tx.CommitAsync(ct);
        return ended;
    }

    private static async Task<Result<Move>> LockAsync(Transaction tx, Guid id, IfMatch ifMatch, string wanted, string from, CancellationToken ct) =>
        await MoveStore.LockAsync(tx, id, ct) is not { } move ? Problem.NotFound("move")
        : ifMatch.Check(move.UpdatedAt) is { } stale ? stale
        : move.Status == from ? move
        : Wrong(move, wanted);

    private static Problem Wrong(Move move, string wanted) => Problem.Conflict("move_state", $"A move that is {move.Status} cannot be {wanted}.");

    private static async Task<Problem?> CampaignProblemAsync(Transaction tx, MoveInput input, CancellationToken ct) =>
        input.CampaignId is not { } id ? null
        : await tx.FindAsync<string>(Sql.HoldCampaign, [id], ct) switch
        {
            null => Problem.Invalid("campaign_id", "There is no such campaign in this workspace."),
            "completed" => Problem.Conflict("campaign_state", "The campaign is completed."),
            _ => null,
        };

    /// <summary>What keeps an outreach from running.</summary>
    private static Problem? Hindrance(Move move, Campaign? campaign) => move switch
    {
        { Type: not Move.Outreach } => null,
        { CampaignId: null } => Problem.Conflict("move_has_no_campaign", "An outreach writes to the contacts of its campaign, and this one has none."),
        _ when string.IsNullOrWhiteSpace(move.Said("text")) => Problem.Conflict("move_has_no_text", "There is nothing to say yet: content.text is empty."),
        _ => campaign is { Status: "active" } && campaign.Id == move.CampaignId ? null : Problem.Conflict("campaign_not_active", "An outreach runs while its campaign is active."),
    };

    private async Task<Result<Move>> StoreAsync(Transaction tx, string sql, object?[] args, string happened, CancellationToken ct)
    {
        try
        {
            return await DoneAsync(tx, await tx.SingleAsync<Move>(sql, args, ct), happened, ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "move_assignee_is_member")
        {
            return Problem.Invalid("assigned_to", "Is no member of this workspace.");
        }
    }

    private async Task<Result<Move>> DoneAsync(Transaction tx, Move move, string happened, CancellationToken ct)
    {
        events.Append(tx, new NewEvent(happened, "move", move.Id, new { campaign_id = move.CampaignId, title = move.Title, type = move.Type, status = move.Status, execution_id = move.ExecutionId }));
        AskForMetrics(tx, move);
        await tx.CommitAsync(ct);
        return move;
    }

    private void AskForMetrics(Transaction tx, Move move) => UpdateMetrics.Ask(tx, work, move.CampaignId, clock);

    private static object?[] Values(MoveInput input) =>
    [
        input.CampaignId, input.Title!.Trim(), input.Description, input.Type, input.Priority ?? "medium", input.DueDate?.ToUniversalTime(), input.AssignedTo,
        Inputs.ObjectParam(input.Content),
    ];

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO campaigns.moves (tenant_id, id, campaign_id, title, description, type, priority, due_date, assigned_to, content, user_id)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            RETURNING *
            """;

        internal const string Replace =
            """
            UPDATE campaigns.moves
            SET campaign_id = $2, title = $3, description = $4, type = $5, priority = $6, due_date = $7, assigned_to = $8, content = $9
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM campaigns.moves WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Begin =
            """
            UPDATE campaigns.moves SET status = 'in_progress', execution_id = $2
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND status = 'pending'
            RETURNING *
            """;

        internal const string HoldCampaign = "SELECT status FROM campaigns.campaigns WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR KEY SHARE";
    }
}
