using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Demo;

/// <summary>A rule and a template for the demo's job-search assistant, as this version knows them: ask it what jobs pay, or for something nobody understands.</summary>
internal sealed class DemoGuidance(Database database, RuleStore rules, ManageRules manageRules, TemplateStore templates, ManageTemplates manageTemplates)
{
    internal static readonly RuleInput Salaries = new(
        "what jobs pay", "Answers at once, whatever else is going on.", Rule.Phrases, "salary\nsalaries\nwhat do they pay\nhow much do they pay", "say",
        Json.Of(new { text = "Every job on the board names its salary{{#if contact.first_name}}, {{contact.first_name}}{{/if}}. Say \"find jobs\" and look at the list." }),
        null, null, null, null, null, null, null);

    internal static readonly ReplyTemplateInput NotUnderstood = new(
        "not understood", "I find jobs and apply for them. Try \"find software engineer jobs in Berlin\", or ask for the salary.", ReplyTemplate.Fallback, null, null);

    internal async Task<Problem?> EnsureAsync(Actor actor, Guid agentId, CancellationToken ct)
    {
        Rule? rule;
        ReplyTemplate? template;
        await using (var tx = database.Begin(actor))
        {
            rule = (await rules.OfAgentAsync(tx, agentId, ct)).FirstOrDefault(r => r.Name == Salaries.Name);
            template = (await templates.OfAgentAsync(tx, agentId, ct)).FirstOrDefault(t => t.Name == NotUnderstood.Name);
        }

        var ruled = rule is null ? await manageRules.CreateAsync(actor, agentId, Salaries, ct) : await manageRules.ChangeAsync(actor, rule.Id, Salaries, IfMatch.Any, ct);
        var worded = template is null
            ? await manageTemplates.CreateAsync(actor, agentId, NotUnderstood, ct)
            : await manageTemplates.ChangeAsync(actor, template.Id, NotUnderstood, IfMatch.Any, ct);
        return ruled.IsOk ? worded.IsOk ? null : worded.Problem : ruled.Problem;
    }
}
