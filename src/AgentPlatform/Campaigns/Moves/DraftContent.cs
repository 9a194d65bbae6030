using System.Text.Json;
using AgentPlatform.Campaigns.Foundations;
using AgentPlatform.Campaigns.Generation;
using AgentPlatform.Campaigns.Icps;
using AgentPlatform.Kernel;
using AgentPlatform.Models;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>Has words drafted: by the tenant's language model where it has one, else by a template that puts together what is known.</summary>
internal sealed class DraftContent(AskAgent agent, FoundationStore foundations) : IMoveRunner
{
    private const int LongestText = 20_000;

    private static readonly AnswerForm Form = new("draft", "The words that were asked for.", Json.Of(new
    {
        type = "object",
        properties = new { subject = new { type = "string" }, text = new { type = "string" } },
        required = new[] { "text" },
    }));

    public string Type => Move.Draft;

    public async Task<MoveOutcome> RunAsync(Transaction tx, MoveRun run, CancellationToken ct)
    {
        tx.Gather();
        var (telling, asking) = (foundations.FindAsync(tx, ct), ManageIcps.OfAsync(tx, run.Campaign?.TargetIcps ?? [], ct));
        await tx.AskAsync(ct);
        var brief = new Brief(await telling, run.Campaign, await asking);
        var prompt = brief.Prompt($"Write the words of this move: {run.Move.Title}. {run.Move.Description}", Form);
        var asked = await agent.AskAsync(tx, new Question(run.RunId, "move", run.Move.Id, "draft", prompt), Read, ct);
        return asked switch
        {
            { Call: { } call } => new MoveOutcome.Ask(call),
            { Answer: { } answer } => new MoveOutcome.Done(Json.Of(new { answer.Text, answer.Subject, source = asked.Model })),
            _ => new MoveOutcome.Done(Json.Of(new { text = Template(run.Move, brief), subject = run.Move.Title, source = CampaignPlan.Template })),
        };
    }

    private static Drafted? Read(JsonElement arguments)
    {
        try
        {
            return Json.Read<Drafted>(arguments) is { Text: { Length: > 0 and <= LongestText } text } draft && !string.IsNullOrWhiteSpace(text) ? draft : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Title, what is offered, for whom, and what to do next.</summary>
    private static string Template(Move move, Brief brief)
    {
        var words = brief.Words;
        string[] parts =
        [
            move.Title, move.Description ?? "", $"{words.Company}: {words.Offer}.",
            .. brief.Icps.Select(icp => $"For {icp.Name}{(icp.Texts(p => p.PainPoints) is [var pain, ..] ? $", who know this: {pain}" : "")}."),
            $"Write back to {words.Company}, and we will show you.",
        ];
        return string.Join("\n\n", parts.Where(part => part.Length > 0));
    }

    private sealed record Drafted(string? Text, string? Subject);
}
