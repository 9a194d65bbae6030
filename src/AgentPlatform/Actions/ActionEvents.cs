using AgentPlatform.Events;

namespace AgentPlatform.Actions;

/// <summary>What the time line of a conversation hears of its actions.</summary>
internal static class ActionEvents
{
    internal static NewEvent Of(string type, QueuedAction item, object details) => new(type, "conversation", item.ConversationId,
        new { queue_id = item.QueueId, action_id = item.ActionId, intent_id = item.IntentId, turn_number = item.TurnNumber, details })
    { CreatedBy = "actions" };
}
