using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Running;
using AgentPlatform.Workflows.Sops.Drafting;

namespace AgentPlatform.Workflows.Sops;

/// <summary>SOPs and the caller's own categories.</summary>
public sealed record SopList(Page<Sop> Sops, IReadOnlyList<SopCategory> Categories);

/// <summary>A version of an SOP that has steps, since when it has, and how many executions follow it.</summary>
public sealed record SopVersion(int Version, DateTimeOffset CreatedAt, int Executions);

/// <summary>How executions of an SOP were rated, and how long those that were completed took, in milliseconds; null before the first.</summary>
public sealed record SopStatistics(int Ratings, decimal? AverageRating, int Issues, long? MedianDurationMs);

/// <summary>An SOP with the steps of the version that was asked for, its other versions, and how it went.</summary>
public sealed record SopDocument(
    Sop Sop, int Version, IReadOnlyList<SopStep> Steps, IReadOnlyList<SopVersion> Versions, SopStatistics Statistics, IReadOnlyList<SopExecution> Executions);

/// <summary>An execution with its SOP and the steps of its version.</summary>
public sealed record SopRun(SopExecution Execution, Sop Sop, IReadOnlyList<SopStep> Steps)
{
    /// <summary>The step under way; null when none is.</summary>
    public SopStep? Current => Execution is { Status: "in_progress", CurrentStepIndex: { } index } ? Steps[index] : null;
}

/// <summary>What people look at and do of SOPs and their executions, whatever surface they do it on.</summary>
public sealed class SopDesk
{
    private const int ShownExecutions = 20;

    private readonly Database _database;
    private readonly SopShelf _shelf;
    private readonly SopCategories _categories;
    private readonly SopExecutionStore _store;
    private readonly ManageSops _manage;
    private readonly StartSop _starts;
    private readonly SteerSop _steer;

    internal SopDesk(Database database, SopShelf shelf, SopCategories categories, SopExecutionStore store, ManageSops manage, StartSop starts, SteerSop steer) =>
        (_database, _shelf, _categories, _store, _manage, _starts, _steer) = (database, shelf, categories, store, manage, starts, steer);

    /// <summary>Newest first.</summary>
    public async Task<SopList> ListAsync(Actor actor, SopFilter filter, PageRequest page, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        tx.Gather();
        var (sops, categories) = (_shelf.ListAsync(tx, filter, page, ct), _categories.ListAsync(tx, includeInactive: true, ct));
        await tx.AskAsync(ct);
        return new SopList(await sops, await categories);
    }

    /// <summary>The version that was asked for, or the latest; null when there is no such SOP, or it never had that version.</summary>
    public async Task<SopDocument?> ReadAsync(Actor actor, Guid id, int? version, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        if (await _shelf.FindAsync(tx, id, ct) is not { } sop || version < 1 || version > sop.Version)
        {
            return null;
        }

        tx.Gather();
        var (steps, versions) = (_shelf.StepsAsync(tx, id, version ?? sop.Version, ct), _shelf.VersionsAsync(tx, id, ct));
        var (statistics, executions) = (_store.StatisticsAsync(tx, id, ct), _store.ListAsync(tx, new SopExecutionFilter(id, null, null, null), new PageRequest(ShownExecutions, null), ct));
        await tx.AskAsync(ct);
        return new SopDocument(sop, version ?? sop.Version, await steps, await versions, await statistics, (await executions).Items);
    }

    /// <summary>Null when there is no such execution.</summary>
    public async Task<SopRun?> ExecutionAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        if (await _store.FindAsync(tx, id, ct) is not { } execution)
        {
            return null;
        }

        tx.Gather();
        var (sop, steps) = (_shelf.FindAsync(tx, execution.SopId, ct), _shelf.StepsAsync(tx, execution.SopId, execution.Version, ct));
        await tx.AskAsync(ct);
        return new SopRun(execution, (await sop)!, await steps);
    }

    /// <summary>Puts the latest version in force. Problems: <c>sop_published</c>, <c>sop_has_no_steps</c>, <c>sop_not_yours</c>.</summary>
    public Task<Result<Sop>> PublishAsync(Actor actor, Guid id, CancellationToken ct) => _manage.PublishAsync(actor, id, IfMatch.Any, ct);

    /// <summary>Begins no more executions. Problem <c>sop_not_yours</c>.</summary>
    public Task<Result<Sop>> ArchiveAsync(Actor actor, Guid id, CancellationToken ct) => _manage.ArchiveAsync(actor, id, IfMatch.Any, ct);

    /// <summary>Begins an execution of the version in force; the same key begins one. Executor: as the SOP's automation level says when null.</summary>
    public async Task<Result<SopExecution>> StartAsync(Actor actor, Guid sopId, string key, string? executor, Guid? conversationId, JsonElement context, CancellationToken ct)
    {
        if (new ExecuteBody(executor, conversationId, context).Problem is { } problem)
        {
            return problem;
        }

        await using var tx = _database.Begin(actor);
        var started = await _starts.RunAsync(tx, new SopStart(sopId, key) { ExecutorType = executor, ConversationId = conversationId, Context = context }, ct);
        if (started.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return started;
    }

    /// <summary>What a person did of the step under way: its result, or why it could not be done. Problems: <c>sop_step_not_current</c>, <c>sop_step_is_the_agents</c>.</summary>
    public async Task<Result<SopExecution>> RecordAsync(Actor actor, Guid id, int stepNumber, JsonElement? result, string? error, CancellationToken ct)
    {
        var body = new StepResultBody(error is null ? "completed" : "failed", result, error);
        return body.Problem is { } problem ? problem : await _steer.RecordAsync(actor, id, stepNumber, body, ct);
    }

    /// <summary>Problems: <c>sop_own_execution</c>, <c>sop_approval_expired</c>.</summary>
    public Task<Result<SopExecution>> ApproveAsync(Actor actor, Guid id, CancellationToken ct) => _steer.ApproveAsync(actor, id, ct);

    /// <summary>Problems: as <see cref="ApproveAsync"/>.</summary>
    public async Task<Result<SopExecution>> RejectAsync(Actor actor, Guid id, string? reason, CancellationToken ct) =>
        new ReasonBody(reason).Problem(required: true) is { } problem ? problem : await _steer.RejectAsync(actor, id, reason!, ct);

    public async Task<Result<SopExecution>> CancelAsync(Actor actor, Guid id, string? reason, CancellationToken ct) =>
        new ReasonBody(reason).Problem(required: false) is { } problem ? problem : await _steer.CancelAsync(actor, id, reason, ct);

    /// <summary>1 to 5, with what somebody thinks of it and what went wrong, if anything. The last rating stands.</summary>
    public async Task<Result<SopExecution>> RateAsync(Actor actor, Guid id, int? rating, string? feedback, string? issue, CancellationToken ct)
    {
        var body = new RatingBody(rating, feedback, issue is null ? null : [new ReportedIssue(issue, null)]);
        return body.Problem is { } problem ? problem : await _steer.RateAsync(actor, id, body, ct);
    }
}
