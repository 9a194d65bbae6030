using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Sops.Drafting;

/// <summary>
/// Makes, changes, publishes and archives SOPs. The steps of a published version never change: the first change after a publication begins the next
/// version, and executions that are under way keep theirs.
/// </summary>
internal sealed class ManageSops(Database database, SopShelf shelf, SopCategories categories, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Sop>> CreateAsync(Actor actor, SopBody body, CancellationToken ct)
    {
        if (body.ProblemAs(isNew: true) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (body.CategoryId is { } category && await categories.RefusalAsync(tx, category, ct) is { } refusal)
        {
            return refusal;
        }

        var sop = await shelf.InsertAsync(tx, With(new Sop
        {
            UserId = actor.UserId == Guid.Empty ? null : actor.UserId,
            Priority = "medium",
            AiEnabled = true,
            AutomationLevel = "semi",
            Metadata = Json.Of(new { }),
        }, body), ct);
        shelf.Write(tx, sop.Id, sop.Version, StepsOf(body));
        await tx.CommitAsync(ct);
        return sop;
    }

    internal Task<Result<Sop>> ChangeAsync(Actor actor, Guid id, SopBody body, IfMatch match, CancellationToken ct) => body.ProblemAs(isNew: false) is { } problem
        ? Task.FromResult<Result<Sop>>(problem)
        : MoveAsync(actor, id, match, async (tx, sop) =>
        {
            if (body.CategoryId is { } category && category != sop.CategoryId && await categories.RefusalAsync(tx, category, ct) is { } refusal)
            {
                return refusal;
            }

            var version = sop.Version == sop.PublishedVersion ? sop.Version + 1 : sop.Version;
            if (body.Steps is not null)
            {
                shelf.Write(tx, id, version, StepsOf(body));
            }
            else if (version != sop.Version)
            {
                shelf.Write(tx, id, version, await shelf.StepsAsync(tx, id, sop.Version, ct));
            }

            return With(sop, body) with { Version = version, Status = sop.Status == "published" ? "draft" : sop.Status };
        }, ct);

    /// <summary>Puts the version in force. Problems: <c>sop_published</c>, <c>sop_has_no_steps</c>.</summary>
    internal Task<Result<Sop>> PublishAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) => MoveAsync(actor, id, match, async (tx, sop) =>
    {
        if (sop.Status == "published")
        {
            return Problem.Conflict("sop_published", "This version is in force already.");
        }

        var steps = await shelf.StepsAsync(tx, id, sop.Version, ct);
        if (steps.Count == 0)
        {
            return Problem.Conflict("sop_has_no_steps", "There is nothing to execute.");
        }

        events.Append(tx, new NewEvent("sop.published", "sop", id, new { sop.Title, sop.Version, replaces = sop.PublishedVersion, steps = steps.Count }) { CreatedBy = "workflows" });
        return sop with { Status = "published", PublishedVersion = sop.Version, PublishedAt = clock.GetUtcNow() };
    }, ct);

    /// <summary>Nobody begins it any more, until it is published again; what is under way goes on.</summary>
    internal Task<Result<Sop>> ArchiveAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) =>
        MoveAsync(actor, id, match, (_, sop) => Task.FromResult<Result<Sop>>(sop with { Status = "archived" }), ct);

    private async Task<Result<Sop>> MoveAsync(Actor actor, Guid id, IfMatch match, Func<Transaction, Sop, Task<Result<Sop>>> change, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await shelf.LockAsync(tx, id, ct) is not { } sop)
        {
            return Problem.NotFound("sop");
        }

        if ((match.Check(sop.UpdatedAt) ?? sop.RefusesChangeBy(actor)) is { } refusal)
        {
            return refusal;
        }

        var changed = await change(tx, sop);
        if (!changed.IsOk)
        {
            return changed;
        }

        var stored = await shelf.UpdateAsync(tx, changed.Value, ct);
        await tx.CommitAsync(ct);
        return stored;
    }

    private static SopStep[] StepsOf(SopBody body) => [.. (body.Steps ?? []).Select(step => step.ToStep())];

    private static Sop With(Sop sop, SopBody body) => sop with
    {
        CategoryId = body.CategoryId ?? sop.CategoryId,
        Title = body.Title?.Trim() ?? sop.Title,
        Description = body.Description ?? sop.Description,
        Objective = body.Objective ?? sop.Objective,
        ApplicableTo = body.ApplicableTo ?? sop.ApplicableTo,
        Prerequisites = body.Prerequisites ?? sop.Prerequisites,
        Triggers = body.Triggers ?? sop.Triggers,
        EstimatedDuration = body.EstimatedDuration ?? sop.EstimatedDuration,
        Priority = body.Priority ?? sop.Priority,
        Tags = body.Tags ?? sop.Tags,
        AiEnabled = body.AiEnabled ?? sop.AiEnabled,
        HumanApprovalRequired = body.HumanApprovalRequired ?? sop.HumanApprovalRequired,
        ApprovalTimeout = body.ApprovalTimeout ?? sop.ApprovalTimeout,
        AutomationLevel = body.AutomationLevel ?? sop.AutomationLevel,
        Metadata = body.Metadata ?? sop.Metadata,
    };
}
