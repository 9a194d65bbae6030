using System.Text.Json;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Brain.Shadows;

/// <summary>Where the talk stood in a scenario.</summary>
internal sealed record PlaceSnapshot(Guid ScenarioId, int Version, Guid StepId, Guid[] Passed, Guid[] Recent, bool Unasked);

/// <summary>
/// What a live turn looked at, apart from what the agent is: of that it says by which version it was guided. The turn can be decided again by it for as long
/// as the agent is the same.
/// </summary>
internal sealed record TurnSnapshot(
    long GuidanceVersion, Guid? ModelId, Guid AgentId, Guid? InstanceId, Guid[] MessageIds, string[] Messages, string Text, string Channel, int Turn, DateOnly Today,
    DateTimeOffset Now, SessionState State, Contact Contact, PlaceSnapshot? Place, Dictionary<string, JsonElement> Variables, ContactPriority[] Priorities,
    bool RequireConfirmation, bool MakesTasks, Guid? InboundMessageId, Guid SessionId = default)
{
    internal static TurnSnapshot Of(TurnScene scene)
    {
        var input = scene.Input;
        return new(
            scene.Book.Version, input.Model?.Id, input.Agent.Id, input.Instance?.Id, [.. scene.Messages.Select(m => m.Id)], [.. input.Messages], input.Text, input.Channel, input.Turn,
            input.Today, input.Now, input.State, input.Contact, Snapshot(input.Place), input.Variables.ToDictionary(StringComparer.Ordinal), [.. input.Priorities],
            input.RequireConfirmation, input.MakesTasks, input.InboundMessageId, scene.Session.SessionId);
    }

    /// <summary>Whether book and classifier are still those of the live turn.</summary>
    internal bool IsOf(AgentBook book, AgentModel? model) => book.Version == GuidanceVersion && model?.Id == ModelId;

    /// <summary>The input as the live turn had it.</summary>
    internal TurnInput Restore(Agent agent, AgentBook book, AgentModel? model, Scenario? scenario, BrainOptions options)
    {
        var instance = book.Instances.FirstOrDefault(own => own.Id == InstanceId);
        return new()
        {
            Messages = Messages,
            Text = Text,
            Channel = Channel,
            Turn = Turn,
            Today = Today,
            Now = Now,
            State = State,
            Contact = Contact,
            Agent = instance?.Run(agent) ?? agent,
            Actions = book.Actions,
            Model = model,
            Scenarios = book.Scenarios,
            Declared = book.Variables,
            Rules = book.Rules,
            Foundation = book.Foundation,
            Instance = instance,
            Prompt = instance is null ? book.Prompts.Own : book.Prompts.Of(instance),
            Place = Place is { } place && scenario?.Step(place.StepId) is { } step ? ScenarioPlace.Again(scenario, step, place.Passed, place.Recent, place.Unasked) : null,
            Variables = Variables,
            Priorities = Priorities,
            RequireConfirmation = RequireConfirmation,
            MakesTasks = MakesTasks,
            InboundMessageId = InboundMessageId,
            Options = options,
        };
    }

    private static PlaceSnapshot? Snapshot(ScenarioPlace? place) =>
        place is null ? null : new(place.Scenario.Id, place.Scenario.Version, place.Step.Id, [.. place.Passed], [.. place.Recent], place.Unasked);
}
