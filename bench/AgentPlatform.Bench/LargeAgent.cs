using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Bench;

/// <summary>An agent of 1,000 rules, 500 actions, 50 scenarios and 20 variables, made as operators make them.</summary>
internal static class LargeAgent
{
    private const int Rules = 1000;
    private const int Actions = 500;
    private const int Scenarios = 50;
    private const int Variables = 20;

    private static readonly string[] Verbs = ["order", "cancel", "track", "return", "price"];
    private static readonly string[] Things = ["crate", "parcel", "invoice", "machine", "licence", "booking", "ticket"];

    internal static async Task BuildAsync(IServiceProvider services, Actor actor, Guid agentId)
    {
        await using (var tx = services.GetRequiredService<Database>().Begin(actor))
        {
            for (var i = 0; i < Actions; i++)
            {
                _ = (await services.GetRequiredService<ActionRegistry>().CreateAsync(tx, agentId, Action(i), CancellationToken.None)).Value;
            }

            await tx.CommitAsync(CancellationToken.None);
        }

        for (var i = 0; i < Scenarios; i++)
        {
            _ = (await services.GetRequiredService<ManageScenarios>().CreateAsync(actor, agentId, Scenario(i), CancellationToken.None)).Value;
        }

        for (var i = 0; i < Variables; i++)
        {
            _ = (await services.GetRequiredService<ManageVariables>().DeclareAsync(actor, agentId, new($"value_{i}", null, "nothing", null), CancellationToken.None)).Value;
        }

        for (var i = 0; i < Rules; i++)
        {
            _ = (await services.GetRequiredService<ManageRules>().CreateAsync(actor, agentId, Rule(i), CancellationToken.None)).Value;
        }
    }

    private static ActionDefinition Action(int i)
    {
        var thing = Things[i % Things.Length];
        return new()
        {
            ActionId = $"action_{i}",
            ActionName = $"{(i == 321 ? "order crate" : $"{Verbs[i % Verbs.Length]} {thing}")} {i}",
            DisplayName = $"Handle {thing} {i}",
            Synonyms = Json.Of(new[] { $"i need my {thing} {i}", $"{thing} number {i}", $"do something about {thing} {i}" }),
            ResponseTemplate = $"Done with {thing} {i}.",
        };
    }

    private static ScenarioInput Scenario(int i) => new(
        $"book the garden {i}", null, [$"reserve garden {i}", $"garden reservation {i}"],
        [
            new() { Name = "ask_email", Collect = new() { Name = "email", Type = "email", Prompt = "What is your e-mail?" }, Next = "ask_guests" },
            new() { Name = "ask_guests", Collect = new() { Name = "guests", Type = "number", Prompt = "How many guests?" }, Next = "done" },
            new() { Name = "done", Say = "Booked for {{guests}}." },
        ],
        true);

    /// <summary>Of ten rules eight look for phrases, one for a pattern, and one at an expression.</summary>
    private static RuleInput Rule(int i)
    {
        var (kind, condition) = (i % 10) switch
        {
            8 => ("pattern", $@"\bcase\s+#?{i}\b"),
            9 => ("expression", $$"""{"all":[{"path":"$.variables.tier","equals":"tier {{i}}"},{"path":"$.channel","equals":"web"}]}"""),
            _ => ("phrases", $"topic {i}\nsubject {i}"),
        };
        return new($"rule {i}", null, kind, condition, "say", Json.Of(new { text = $"About {i}." }), null, null, i % 100, null, null, null, null);
    }
}
