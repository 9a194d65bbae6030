using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Costs;

internal static class CostsApi
{
    private static readonly string[] Groupings = ["day", "agent", "contact", "model", "provider"];

    internal static void Map(IEndpointRouteBuilder v1)
    {
        var costs = v1.MapGroup("").WithTags("Costs");
        costs.MapGet("/budgets", async (HttpContext http, Database database, ManageBudgets budgets, CancellationToken ct, int? limit = null, string? cursor = null) =>
            await http.PageAsync(database, limit, cursor, (tx, page) => budgets.ListAsync(tx, page, ct)))
            .RequireScope("costs:read").Describe("listBudgets", "The tenant's budget and those of its agents, with what is spent and held.").Produces<Page<Budget>>();
        costs.MapPut("/budgets/tenant", async (HttpContext http, IfMatch ifMatch, ManageBudgets budgets, BudgetInput body, CancellationToken ct) =>
            (await budgets.SetAsync(http.Actor(), agentId: null, body, ifMatch, ct)).ToHttp(b => b.UpdatedAt))
            .RequireScope("costs:write").Describe("setTenantBudget", "Set what the whole tenant may spend.").Produces<Budget>();
        costs.MapPut("/agents/{agentId:guid}/budget", async (HttpContext http, IfMatch ifMatch, ManageBudgets budgets, Guid agentId, BudgetInput body, CancellationToken ct) =>
            (await budgets.SetAsync(http.Actor(), agentId, body, ifMatch, ct)).ToHttp(b => b.UpdatedAt))
            .RequireScope("costs:write").Describe("setAgentBudget", "Set what an agent may spend.").Produces<Budget>();
        costs.MapGet("/budgets/{id:guid}", async (HttpContext http, ManageBudgets budgets, Guid id, CancellationToken ct) =>
            (await budgets.FindAsync(http.Actor(), id, ct)).ToHttp(b => b.UpdatedAt))
            .RequireScope("costs:read").Describe("readBudget", "One budget.").Produces<Budget>();
        costs.MapDelete("/budgets/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageBudgets budgets, Guid id, CancellationToken ct) =>
            (await budgets.LiftAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("costs:write").Describe("liftBudget", "Remove a budget: there is no limit any more.").Produces(StatusCodes.Status204NoContent);
        costs.MapGet("/budget-alerts", AlertsAsync)
            .RequireScope("costs:read").Describe("listBudgetAlerts", "Shares of budgets that were reached, newest first, with how many members were told.").Produces<Page<BudgetAlert>>();
        costs.MapGet("/budget-reservations", ReservationsAsync)
            .RequireScope("costs:read").Describe("listReservations", "What is or was held for calls, newest first.").Produces<Page<StoredReservation>>();
        costs.MapGet("/token-usage", UsageAsync)
            .RequireScope("costs:read").Describe("listTokenUsage", "Every call of a model that was paid for, newest first.").Produces<Page<StoredUsage>>();
        costs.MapGet("/costs", ReportAsync)
            .RequireScope("costs:read").Describe("reportCosts", "What was spent, by day, agent, contact, model or provider, in the order of their names.").Produces<Page<CostLine>>();
    }

    private static Task<IResult> AlertsAsync(HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, Guid? budget_id = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => BudgetAlerts.ListAsync(tx, budget_id, page, ct));

    private static Task<IResult> ReservationsAsync(HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null) =>
        http.PageAsync(
            database, limit, cursor, (tx, page) => ManageBudgets.ReservationsAsync(tx, status, page, ct),
            new Validation().OneOf("status", status, required: false, "open", "settled", "released", "expired").Problem);

    private static Task<IResult> UsageAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, Guid? agent_id = null, Guid? conversation_id = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => UsageLedger.ListAsync(tx, agent_id, conversation_id, page, ct));

    private static async Task<IResult> ReportAsync(
        HttpContext http, Database database, TimeProvider clock, CancellationToken ct, string by = "day", DateOnly? from = null, DateOnly? to = null, int? limit = null,
        string? cursor = null)
    {
        var days = ReportDays.Of(from, to, clock);
        var size = PageRequest.Parse(limit, null);
        var rules = days.Check(new Validation().OneOf("by", by, required: true, Groupings)).Check("cursor", Cursor.TryDecodeName(cursor, out var after), "Is not a cursor this API gave out.");
        if ((size.Problem ?? rules.Problem) is { } invalid)
        {
            return invalid.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var lines = await UsageLedger.ReportAsync(tx, by, days.From, days.To, after, size.Value.Fetch, ct);
        var page = lines.Count > size.Value.Limit ? new Page<CostLine>([.. lines.Take(size.Value.Limit)], Cursor.EncodeName(lines[size.Value.Limit - 1].Name)) : new(lines, null);
        return ((Result<Page<CostLine>>)page).ToHttp();
    }
}
