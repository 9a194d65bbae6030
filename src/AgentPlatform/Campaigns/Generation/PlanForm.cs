using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Kernel;
using AgentPlatform.Models;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>Pure: what a model is asked for a campaign's plan, and the form it answers in.</summary>
internal static class PlanForm
{
    private const string Task =
        """
        Plan this campaign: a summary of the strategy, key messages, and 2 to 4 phases with 1 to 6 moves each. Moves: `research` (what is known of the contacts is
        counted), `content` (words are drafted), `outreach` (its `text` is sent to every contact of the campaign, by SMS or e-mail) and `admin` (a member does it).
        The text of an outreach has at most 300 characters. In it and in its subject {{contact.first_name}}, {{contact.company}} and {{contact.title}} may be used, with
        {{#if contact.first_name}} around what may be missing, and nothing else in braces.
        """;

    private static readonly string[] OfMove = ["type", "title"];
    private static readonly string[] OfPhase = ["name", "goal", "days", "moves"];
    private static readonly string[] OfPlan = ["summary", "key_messages", "phases"];

    private static readonly AnswerForm Form = new("plan", "The plan of the campaign.", Json.Of(new
    {
        type = "object",
        properties = new
        {
            summary = new { type = "string" },
            key_messages = new { type = "array", items = new { type = "string" } },
            phases = new
            {
                type = "array",
                items = new
                {
                    type = "object",
                    properties = new
                    {
                        name = new { type = "string" },
                        goal = new { type = "string" },
                        days = new { type = "integer" },
                        moves = new
                        {
                            type = "array",
                            items = new
                            {
                                type = "object",
                                properties = new
                                {
                                    type = new { type = "string", @enum = Move.Types },
                                    title = new { type = "string" },
                                    description = new { type = "string" },
                                    priority = new { type = "string", @enum = Move.Priorities },
                                    text = new { type = "string" },
                                    subject = new { type = "string" },
                                },
                                required = OfMove,
                            },
                        },
                    },
                    required = OfPhase,
                },
            },
        },
        required = OfPlan,
    }));

    internal static ModelPrompt Prompt(Brief brief) => brief.Prompt(Task, Form);
}
