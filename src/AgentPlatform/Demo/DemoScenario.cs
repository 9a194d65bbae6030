using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Kernel;

namespace AgentPlatform.Demo;

/// <summary>A talk that the demo's agent leads: a call with an adviser.</summary>
internal static class DemoScenario
{
    internal const string Name = "book a call";

    internal static ScenarioInput Call { get; } = new(Name, "Books a call with an adviser.", ["schedule a call", "arrange a call", "call with an adviser"],
    [
        new() { Name = "welcome", Say = "Let us book a call with an adviser.", Next = "ask_topic" },
        new()
        {
            Name = "ask_topic",
            Collect = new() { Name = "topic", Type = "choice", Choices = ["CV", "Interview", "Pay"], Prompt = "What is it about: CV, Interview or Pay?" },
            Branches = [new(Json.Of(new { path = "$.topic", equals = "Pay" }), "ask_years")],
            Next = "ask_day",
        },
        new()
        {
            Name = "ask_years",
            Collect = new() { Name = "years", Type = "number", Minimum = 0, Maximum = 60, Prompt = "How many years have you worked?", Message = "Please give me a number of years, up to 60." },
            Next = "ask_day",
        },
        new() { Name = "ask_day", Collect = new() { Name = "day", Type = "date", Prompt = "Which day suits you?", Message = "I need a day, such as tomorrow or May 3." }, Next = "ask_email" },
        new() { Name = "ask_email", Collect = new() { Name = "email", Type = "email", Prompt = "Where shall the invitation go?", Message = "That does not look like an e-mail address." }, Next = "done" },
        new() { Name = "done", Say = "Booked: {{topic}} on {{day}}. The invitation goes to {{email}}." },
    ], true);
}
