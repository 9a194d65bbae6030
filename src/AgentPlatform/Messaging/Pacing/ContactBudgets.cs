using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging.Pacing;

/// <summary>Limits to change; null leaves one as it is.</summary>
public sealed record MessageBudgetInput(int? DailyLimit, int? HourlyLimit, bool? QuietHoursEnabled);

/// <summary>A contact's limits, as operators see and set them.</summary>
internal sealed class ContactBudgets(Database database, ContactDirectory contacts, Budgets budgets, TimeProvider clock)
{
    private const int MaxLimit = 1000;

    internal Task<Result<MessageBudget>> ReadAsync(Actor actor, Guid contactId, CancellationToken ct) => TodayAsync(actor, contactId, budgets.LookAsync, ct);

    internal async Task<Result<MessageBudget>> ChangeAsync(Actor actor, Guid contactId, MessageBudgetInput input, CancellationToken ct)
    {
        var invalid = new Validation()
            .Check("daily_limit", input.DailyLimit is null or (>= 0 and <= MaxLimit), $"Must be between 0 and {MaxLimit}.")
            .Check("hourly_limit", input.HourlyLimit is null or (>= 0 and <= MaxLimit), $"Must be between 0 and {MaxLimit}.")
            .Problem;
        return invalid is null
            ? await TodayAsync(actor, contactId, (tx, id, today, token) => budgets.ConfigureAsync(tx, id, today, input.DailyLimit, input.HourlyLimit, input.QuietHoursEnabled, token), ct)
            : invalid;
    }

    private async Task<Result<MessageBudget>> TodayAsync(Actor actor, Guid contactId, Func<Transaction, Guid, DateOnly, CancellationToken, Task<MessageBudget>> use, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await contacts.FindAsync(tx, contactId, ct) is not { } contact)
        {
            return Problem.NotFound("contact");
        }

        var budget = await use(tx, contact.Id, QuietHours.Today(clock.GetUtcNow(), contact.Timezone), ct);
        await tx.CommitAsync(ct);
        return budget;
    }
}
