using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schemas;

namespace AgentPlatform.Demo;

/// <summary>
/// What the demo's job-search assistant is configured with, as this version knows it: a rule (ask it what jobs pay), a template (say something nobody
/// understands), a scenario (book a call) and what the job board tells about people.
/// </summary>
internal sealed class DemoGuidance(
    Database database, RuleStore rules, ManageRules manageRules, TemplateStore templates, ManageTemplates manageTemplates, ScenarioStore scenarios, ManageScenarios manageScenarios,
    ManageSchemas schemas)
{
    internal static readonly RuleInput Salaries = new(
        "what jobs pay", "Answers at once, whatever else is going on.", Rule.Phrases, "salary\nsalaries\nwhat do they pay\nhow much do they pay", "say",
        Json.Of(new { text = "Every job on the board names its salary{{#if contact.first_name}}, {{contact.first_name}}{{/if}}. Say \"find jobs\" and look at the list." }),
        null, null, null, null, null, null, null);

    internal static readonly ReplyTemplateInput NotUnderstood = new(
        "not understood", "I find jobs and apply for them. Try \"find software engineer jobs in Berlin\", or ask for the salary.", ReplyTemplate.Fallback, null, null);

    internal async Task<Problem?> EnsureAsync(Actor actor, Guid agentId, SchemaInput candidate, CancellationToken ct)
    {
        Rule? rule;
        ReplyTemplate? template;
        bool guided;
        await using (var tx = database.Begin(actor))
        {
            rule = (await rules.OfAgentAsync(tx, agentId, ct)).FirstOrDefault(r => r.Name == Salaries.Name);
            template = (await templates.OfAgentAsync(tx, agentId, ct)).FirstOrDefault(t => t.Name == NotUnderstood.Name);
            guided = (await scenarios.OfAgentAsync(tx, agentId, ct)).Any(s => s.Name == DemoScenario.Name);
        }

        var ruled = rule is null ? await manageRules.CreateAsync(actor, agentId, Salaries, ct) : await manageRules.ChangeAsync(actor, rule.Id, Salaries, IfMatch.Any, ct);
        var worded = template is null
            ? await manageTemplates.CreateAsync(actor, agentId, NotUnderstood, ct)
            : await manageTemplates.ChangeAsync(actor, template.Id, NotUnderstood, IfMatch.Any, ct);
        // A scenario that is there stays as it is: each change makes a version, and an operator may have made one.
        return ruled.Problem ?? worded.Problem
            ?? (guided ? null : (await manageScenarios.CreateAsync(actor, agentId, DemoScenario.Call, ct)).Problem)
            ?? await DescribeAsync(actor, candidate, ct);
    }

    private async Task<Problem?> DescribeAsync(Actor actor, SchemaInput schema, CancellationToken ct) =>
        (await schemas.CreateAsync(actor, schema, ct)).Problem is { Code: "schema_id_taken" }
            ? (await schemas.ReplaceAsync(actor, schema, IfMatch.Any, ct)).Problem
            : null;
}
