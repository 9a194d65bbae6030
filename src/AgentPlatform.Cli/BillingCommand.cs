using System.CommandLine;
using System.Text.Json;
using AgentPlatform.Billing.Catalogue;
using AgentPlatform.Billing.Invoices;
using AgentPlatform.Billing.Payments;
using AgentPlatform.Kernel;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Cli;

/// <summary>What the seller does, who has the database: says what is offered, gives money back, and reads the invoices of workspaces, also of those that are gone.</summary>
internal static class BillingCommand
{
    internal static Command Create() => new("billing", "What the installation sells to its workspaces") { Catalogue(), Refund(), Invoices() };

    internal static async Task<int> ApplyAsync(IServiceProvider services, string json, CancellationToken ct)
    {
        CatalogueFile file;
        try
        {
            file = JsonSerializer.Deserialize<CatalogueFile>(json, Json.Options) ?? throw new JsonException("It is empty.");
        }
        catch (JsonException e)
        {
            throw new CommandException($"The catalogue cannot be read: {e.Message}");
        }

        return Value(await services.GetRequiredService<ApplyCatalogue>().RunAsync(file, ct));
    }

    private static Command Catalogue()
    {
        var path = new Argument<string>("file") { Description = "JSON with tiers, packs and add_ons; each takes the place of what has its slug" };
        var command = new Command("catalogue", "Say what is offered; what is sold already keeps its terms") { path };
        command.Run(async (parsed, ct) =>
        {
            await using var services = CliServices.Build();
            var written = await ApplyAsync(services, await File.ReadAllTextAsync(parsed.GetValue(path)!, ct), ct);
            Commands.Say($"{written} offers written.");
            return 0;
        });
        return command;
    }

    private static Command Refund()
    {
        var tenant = new Argument<Guid>("tenant") { Description = "The workspace's id" };
        var payment = new Argument<Guid>("payment") { Description = "The payment's id" };
        var reason = new Argument<string>("reason") { Description = "Why, as the workspace reads it" };
        var command = new Command("refund", "Give a payment back, or try again where that failed") { tenant, payment, reason };
        command.Run(async (parsed, ct) =>
        {
            await using var services = CliServices.Build();
            var refund = Value(await services.GetRequiredService<Refunds>().OrderAsync(parsed.GetValue(tenant), parsed.GetValue(payment), parsed.GetValue(reason)!, ct));
            Commands.Say($"Refund {refund.Id} is {refund.Status}; the host carries it out.");
            return 0;
        });
        return command;
    }

    private static Command Invoices()
    {
        var tenant = new Argument<Guid>("tenant") { Description = "The workspace's id; it need not exist any more" };
        var command = new Command("invoices", "Print a workspace's invoices and credit notes, one JSON a line") { tenant };
        command.Run(async (parsed, ct) =>
        {
            await using var services = CliServices.Build();
            foreach (var invoice in await services.GetRequiredService<InvoiceArchive>().OfAsync(parsed.GetValue(tenant), ct))
            {
                await Console.Out.WriteLineAsync(Json.Text(invoice));
            }

            return 0;
        });
        return command;
    }

    private static T Value<T>(Result<T> result) =>
        result.IsOk ? result.Value : throw new CommandException(result.Problem.Errors is { } errors ? string.Join(' ', errors.SelectMany(e => e.Value)) : result.Problem.Title);
}
