namespace AgentPlatform.LocalHost.Queues;

/// <summary>One queue, in Postgres or in a storage account: at-least-once, hidden while a receiver holds its pop receipt.</summary>
internal interface IMessageQueue
{
    string Name { get; }

    /// <summary>Creates what is needed before the first receive.</summary>
    Task PrepareAsync(CancellationToken ct);

    Task SendAsync(string text, CancellationToken ct);

    /// <summary>Takes up to <paramref name="max"/> visible messages and hides them for <paramref name="hidden"/>.</summary>
    Task<IReadOnlyList<RawMessage>> ReceiveAsync(int max, TimeSpan hidden, CancellationToken ct);

    /// <summary>Hides the message for <paramref name="hidden"/> from now; the new pop receipt, or null when another receiver holds it.</summary>
    Task<string?> HideAsync(RawMessage message, TimeSpan hidden, CancellationToken ct);

    /// <summary>Removes a message that ran; false when another receiver holds it.</summary>
    Task<bool> DeleteAsync(RawMessage message, CancellationToken ct);

    /// <summary>Moves the message to the queue <paramref name="target"/>, where it never expires.</summary>
    Task MoveAsync(RawMessage message, string target, CancellationToken ct);

    /// <summary>Completes early when this process sends to the queue, else after <paramref name="delay"/>.</summary>
    Task WaitAsync(TimeSpan delay, CancellationToken ct);
}

/// <summary>A received message as it is stored: <paramref name="Text"/> may be base64.</summary>
internal sealed record RawMessage(
    string Id, string PopReceipt, string Text, long DequeueCount, DateTimeOffset? NextVisibleOn, DateTimeOffset? InsertedOn, DateTimeOffset? ExpiresOn);
