using Azure;
using Azure.Storage.Queues;
using Azure.Storage.Queues.Models;

namespace AgentPlatform.LocalHost.Queues;

/// <summary>A queue of a storage account or of Azurite. Text goes in and out as stored; the listener decodes it.</summary>
internal sealed class StorageQueue(string name, string connection, TimeProvider clock) : IMessageQueue
{
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(-1);

    private readonly QueueClient _queue = Client(connection, name);

    public string Name => name;

    public Task PrepareAsync(CancellationToken ct) => _queue.CreateIfNotExistsAsync(cancellationToken: ct);

    public Task SendAsync(string text, CancellationToken ct) => _queue.SendMessageAsync(text, ct);

    public async Task<IReadOnlyList<RawMessage>> ReceiveAsync(int max, TimeSpan hidden, CancellationToken ct)
    {
        QueueMessage[] messages = await _queue.ReceiveMessagesAsync(max, hidden, ct);
        return [.. messages.Select(m => new RawMessage(m.MessageId, m.PopReceipt, m.MessageText, m.DequeueCount, m.NextVisibleOn, m.InsertedOn, m.ExpiresOn))];
    }

    public async Task<string?> HideAsync(RawMessage message, TimeSpan hidden, CancellationToken ct)
    {
        try
        {
            UpdateReceipt receipt = await _queue.UpdateMessageAsync(message.Id, message.PopReceipt, message.Text, hidden, ct);
            return receipt.PopReceipt;
        }
        catch (RequestFailedException e) when (IsLost(e))
        {
            return null;
        }
    }

    public async Task<bool> DeleteAsync(RawMessage message, CancellationToken ct)
    {
        try
        {
            await _queue.DeleteMessageAsync(message.Id, message.PopReceipt, ct);
            return true;
        }
        catch (RequestFailedException e) when (IsLost(e))
        {
            return false;
        }
    }

    public async Task MoveAsync(RawMessage message, string target, CancellationToken ct)
    {
        var poison = Client(connection, target);
        await poison.CreateIfNotExistsAsync(cancellationToken: ct);
        // Sent before it is deleted: a crash in between leaves it twice, never nowhere.
        await poison.SendMessageAsync(message.Text, visibilityTimeout: null, timeToLive: Never, ct);
        await DeleteAsync(message, ct);
    }

    public Task WaitAsync(TimeSpan delay, CancellationToken ct) => Task.Delay(delay, clock, ct);

    private static QueueClient Client(string connection, string name) =>
        new(connection, name, new QueueClientOptions { MessageEncoding = QueueMessageEncoding.None });

    private static bool IsLost(RequestFailedException e) =>
        e.ErrorCode == QueueErrorCode.MessageNotFound || e.ErrorCode == QueueErrorCode.PopReceiptMismatch;
}
