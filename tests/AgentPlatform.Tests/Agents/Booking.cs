using System.Text.Json;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;

namespace AgentPlatform.Tests.Agents;

/// <summary>A scenario that books a table: e-mail, guests, a question of its own for large parties, a choice, and a word of thanks.</summary>
internal static class Booking
{
    internal static readonly ScenarioStep Welcome = new() { Name = "welcome", Say = "Let us book a table.", Next = "ask_email" };

    internal static readonly ScenarioStep AskEmail = new()
    {
        Name = "ask_email",
        Collect = new() { Name = "email", Type = "email", Prompt = "What is your e-mail?", Message = "That is no e-mail address." },
        Next = "ask_guests",
    };

    internal static readonly ScenarioStep AskGuests = new()
    {
        Name = "ask_guests",
        Collect = new() { Name = "guests", Type = "number", Prompt = "How many guests?", Minimum = 1, Maximum = 40 },
        Branches = [new(Json.Of(new { path = "$.guests", greater_than = 8 }), "ask_occasion")],
        Next = "ask_room",
    };

    internal static readonly ScenarioStep AskOccasion = new()
    {
        Name = "ask_occasion",
        Collect = new() { Name = "occasion", Prompt = "That is many! What is the occasion?" },
        Next = "ask_room",
    };

    internal static readonly ScenarioStep AskRoom = new()
    {
        Name = "ask_room",
        Collect = new() { Name = "room", Type = "choice", Choices = ["Garden", "Bar"], Prompt = "Garden or bar?" },
        Next = "done",
    };

    internal static readonly ScenarioStep Done = new() { Name = "done", Say = "Booked for {{guests}} in the {{room}}, {{email}}." };

    internal static readonly ScenarioInput Scenario =
        new("book a table", "Books.", ["reserve a table", "table reservation"], [Welcome, AskEmail, AskGuests, AskOccasion, AskRoom, Done], true);

    internal static async Task<Scenario> GuideAsync(this Talk talk, ScenarioInput? input = null)
    {
        var created = await talk.Platform.Get<ManageScenarios>().CreateAsync(talk.Actor, talk.AgentId, input ?? Scenario, default);
        Assert.True(created.IsOk, Json.Text(created.Problem));
        return created.Value;
    }

    internal static async Task<Scenario> ChangeAsync(this Talk talk, Guid id, ScenarioInput input)
    {
        var changed = await talk.Platform.Get<ManageScenarios>().ChangeAsync(talk.Actor, id, input, IfMatch.Any, default);
        Assert.True(changed.IsOk, Json.Text(changed.Problem));
        return changed.Value;
    }

    internal static async Task<JsonElement> LastScenarioStateAsync(this Talk talk) => await talk.InAsync(tx => tx.SingleAsync<JsonElement>(
        "SELECT scenario_state FROM conversations.turn_records WHERE conversation_id = $1 ORDER BY id DESC LIMIT 1", [talk.ConversationId], default));
}
