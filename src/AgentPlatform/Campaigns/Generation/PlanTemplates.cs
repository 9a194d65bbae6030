using AgentPlatform.Campaigns.Moves;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns.Generation;

/// <summary>Pure: the plans that a campaign of each type begins with where no model writes them. The same campaign gets the same plan.</summary>
internal static class PlanTemplates
{
    private const int Bold = 8;
    private const int LongestWords = 170;
    private const string Hello = "Hi{{#if contact.first_name}} {{contact.first_name}}{{/if}}, ";

    internal static CampaignPlan Of(Campaign campaign, Brief brief)
    {
        var words = Plain(brief.Words);
        var phases = campaign.Type switch
        {
            "product_launch" => Launch(words),
            "diwali" => Diwali(words),
            "leadgen" => Leads(words),
            _ => Awareness(words),
        };
        return new(
            CampaignPlan.Template,
            $"{campaign.Name}: in {phases.Length} phases, {string.Join(", then ", phases.Select(p => p.Goal.TrimEnd('.').ToLowerInvariant()))}. It rests on this: {words.Offer}.",
            [words.Offer, $"We know what troubles you: {words.Pain}", $"It gets you nearer to this: {words.Goal}", .. words.Focus],
            [.. phases.Select(phase => campaign.RiskLevel >= Bold ? Reminded(phase, words) : phase)]);
    }

    private static PlannedPhase[] Launch(BriefWords w) =>
    [
        new("Teaser", "Make those it is for curious.", 7,
        [
            Look(w),
            Draft($"Announcement of {w.Campaign}", "What is new, for whom, and from when on."),
            Say("Tell that something is coming", "medium", $"Coming soon: {w.Campaign}", $"something new is coming from {w.Company}: {w.Offer}. Shall we tell you when it is here?"),
        ]),
        new("Launch", "Open the doors.", 7,
        [
            Say("Tell that it is here", "urgent", $"It is here: {w.Campaign}", $"{w.Campaign} is here. {w.Offer}. Just reply, and we will show you."),
            Do("Answer first questions", "Look through the replies every day of the launch.", "high"),
        ]),
        new("Follow-up", "Win those who hesitate.", 14,
        [
            Draft("Answers to what was asked most", "From the replies so far."),
            Look(w),
            Say("Ask what is missing", "low", $"What is missing in {w.Campaign}?", $"did you have a look at {w.Campaign}? Tell us what is missing."),
        ]),
    ];

    private static PlannedPhase[] Diwali(BriefWords w) =>
    [
        new("Before the festival", "Be thought of before others are.", 10,
        [
            Look(w),
            Draft("Festival greeting and offer", "Warm, short, and with one offer."),
            Say("Invite early", "medium", "Something for your Diwali", $"Diwali is near. {w.Company} has put something aside for you: {w.Offer}. Reply to hear more."),
        ]),
        new("Festival", "Greet, and offer.", 5,
        [
            Say("Greet", "urgent", "Happy Diwali", $"{w.Company} wishes you and your family a happy Diwali! {w.Offer}."),
            Do("Be there for replies", "Who writes on a holiday wants an answer today.", "high"),
        ]),
        new("After the festival", "Thank, and stay in touch.", 10,
        [
            Say("Thank", "low", "Thank you", $"thank you for the days of light. If you have not yet had the time: {w.Offer}."),
            Look(w),
        ]),
    ];

    private static PlannedPhase[] Leads(BriefWords w) =>
    [
        new("Find", "Know whom to write to.", 7,
        [
            Look(w),
            Draft("One page for those who ask", "The trouble, what we do about it, what it costs, what to do next."),
        ]),
        new("Reach out", "Begin talks.", 14,
        [
            Say("Ask the first question", "high", "One question", $"many tell us of this: {w.Pain}. Does it cost you time, too? {w.Company} may be able to help."),
            Do("Take over warm leads", "Whoever replied is called by a person.", "urgent"),
        ]),
        new("Nurture", "Stay useful to those who were not ready.", 14,
        [
            Draft("A short case", "How somebody like them got there."),
            Say("Offer something useful", "low", "How others did it", $"a thought on this: {w.Goal}. {w.Offer}. Shall we send you how others did it?"),
            Look(w),
        ]),
    ];

    private static PlannedPhase[] Awareness(BriefWords w) =>
    [
        new("Introduce", "Be known by name.", 10,
        [
            Look(w),
            Draft($"Who {w.Company} is", "In the words of those it is for."),
            Say("Say who we are", "medium", $"Who {w.Company} is", $"this is {w.Company}. {w.Offer}. May we tell you more?"),
        ]),
        new("Explain", "Be known for something.", 14,
        [
            Draft("Three things worth knowing", "One for each of what the messages rest on."),
            Say("Tell one thing worth knowing", "medium", "Worth knowing", $"did you know? {w.Offer}. It helps with this: {w.Pain}."),
        ]),
        new("Invite", "Turn attention into talks.", 7,
        [
            Say("Invite to a talk", "high", "See for yourself", $"would you like to see for yourself? Reply with a day that suits you. Your {w.Company}"),
            Look(w),
        ]),
    ];

    /// <summary>A bold campaign asks once more at the end of each phase that wrote to people.</summary>
    private static PlannedPhase Reminded(PlannedPhase phase, BriefWords w)
    {
        var reminder = Say($"Remind, at the end of {phase.Name}", "low", $"A reminder: {w.Campaign}", $"a short reminder of {w.Campaign}: {w.Offer}. Reply, and we will take it from there.");
        return phase.Moves.All(m => m.Type != Move.Outreach) ? phase : phase with { Moves = [.. phase.Moves, reminder] };
    }

    private static PlannedMove Look(BriefWords w) =>
        new(Move.Research, "See who is there to write to", $"How many contacts fit, where they can be written to, and what they replied so far to {w.Campaign}.", "high");

    private static PlannedMove Draft(string title, string description) => new(Move.Draft, title, description, "medium");

    private static PlannedMove Do(string title, string description, string priority) => new(Move.Admin, title, description, priority);

    private static PlannedMove Say(string title, string priority, string subject, string text) => new(Move.Outreach, title, null, priority, $"{Hello}{text}", subject);

    /// <summary>What people wrote is text in a template, and no part of it.</summary>
    private static BriefWords Plain(BriefWords words) => new(Text(words.Company), Text(words.Offer), Text(words.Campaign), Text(words.Pain), Text(words.Goal), words.Focus);

    private static string Text(string words) => words.Clip(LongestWords, "…").Replace('{', '(').Replace('}', ')');
}
