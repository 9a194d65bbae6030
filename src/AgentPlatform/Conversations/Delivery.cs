namespace AgentPlatform.Conversations;

/// <summary>News of a message from its provider. Status: queued_for_send, sent, delivered or failed.</summary>
public sealed record DeliveryUpdate(string Status, DateTimeOffset At)
{
    public string? ProviderMessageId { get; init; }

    public string? ErrorCode { get; init; }

    public string? ErrorMessage { get; init; }
}

/// <summary>
/// Delivery goes one way: queued, pending, queued_for_send, sent, failed, delivered. News that arrive late change nothing, and only
/// a confirmed delivery corrects a failure. The SQL function <c>conversations.delivery_rank</c> is the same order.
/// </summary>
public static class Delivery
{
    private static readonly string[] Order = ["queued", "pending", "queued_for_send", "sent", "failed", "delivered"];

    public static IReadOnlyList<string> Statuses => Order;

    public static bool MayMove(string? from, string to) => Array.IndexOf(Order, to) is >= 0 and var rank && rank > Array.IndexOf(Order, from);
}
