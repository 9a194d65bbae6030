using System.Text.Json;
using AgentPlatform.Costs;
using AgentPlatform.Kernel;
using AgentPlatform.Resilience;
using Anthropic.Models.Messages;
using Microsoft.Extensions.AI;
using OpenAI.Chat;
using ChatFinishReason = Microsoft.Extensions.AI.ChatFinishReason;

namespace AgentPlatform.Models;

/// <summary>
/// An answer while it comes in: hands on its pieces, and knows at any moment what it has cost. The clients put the form together themselves, and
/// hand it over when it is whole; the pieces are found in what the provider sent.
/// </summary>
internal sealed class IncomingAnswer(PreparedCall call, Action<string> hear)
{
    private const string CacheCreation = "CacheCreationInputTokens";

    /// <summary>About so many bytes are a token, where a provider does not count or was not heard to the end.</summary>
    private const int BytesOfToken = 4;

    private readonly List<ChatResponseUpdate> _updates = [];
    private TokenCounts? _counted;
    private ChatFinishReason? _finished;
    private int _bytes;

    internal void Take(ChatResponseUpdate update)
    {
        _updates.Add(update);
        _finished = update.FinishReason ?? _finished;
        _counted = update.Contents.OfType<UsageContent>().LastOrDefault() is { } usage ? Tokens(usage.Details) : Begun(update) ?? _counted;
        if (Piece(update) is { Length: > 0 } piece)
        {
            _bytes += System.Text.Encoding.UTF8.GetByteCount(piece);
            hear(piece);
        }
    }

    /// <summary>What a call that broke off has cost: what was counted, and what had come in. Null when nothing had: then nothing was paid for.</summary>
    internal TokenCounts? Paid =>
        _counted is { } counted ? counted with { Output = Math.Max(counted.Output, _bytes / BytesOfToken) }
        : _bytes > 0 ? Guess()
        : null;

    internal ModelReply Read()
    {
        var response = _updates.ToChatResponse();
        if (_finished is null)
        {
            // Both clients take the end of a connection for the end of an answer.
            return ModelReply.Failed(ServiceVerdict.Broken, "The answer broke off.") with { Tokens = Paid, RequestId = response.ResponseId };
        }

        var form = response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().FirstOrDefault(c => c.Name == call.Call.Prompt.Form.Name);
        return new(ServiceVerdict.Healthy)
        {
            Arguments = form?.Arguments is { } arguments ? Json.Of(arguments) : null,
            Text = string.IsNullOrWhiteSpace(response.Text) ? null : response.Text,
            FinishReason = _finished.Value.Value,
            RequestId = response.ResponseId,
            Tokens = _counted ?? Guess(),
        };
    }

    private TokenCounts Guess() => new(call.Bytes / BytesOfToken, _bytes / BytesOfToken);

    private static string Piece(ChatResponseUpdate update) => update.RawRepresentation switch
    {
        RawMessageStreamEvent e when e.TryPickContentBlockDelta(out var delta) && delta.Delta.TryPickInputJson(out var json) => json.PartialJson,
        StreamingChatCompletionUpdate chunk when chunk.ToolCallUpdates.Count > 0 => string.Concat(chunk.ToolCallUpdates.Select(part => part.FunctionArgumentsUpdate?.ToString())),
        _ => update.Text,
    };

    /// <summary>Anthropic says at the beginning what it has read; only at the end does the client count.</summary>
    private static TokenCounts? Begun(ChatResponseUpdate update) =>
        update.RawRepresentation is RawMessageStreamEvent e && e.TryPickStart(out var start) && start.Message.Usage is var usage
            ? new((int)usage.InputTokens, (int)usage.OutputTokens, (int)(usage.CacheCreationInputTokens ?? 0), (int)(usage.CacheReadInputTokens ?? 0))
            : null;

    /// <summary>Both clients count what was read from and written to the cache among the input.</summary>
    private static TokenCounts Tokens(UsageDetails usage)
    {
        var (read, written) = ((int)(usage.CachedInputTokenCount ?? 0), (int)(usage.AdditionalCounts?.GetValueOrDefault(CacheCreation) ?? 0));
        return new(Math.Max(0, (int)(usage.InputTokenCount ?? 0) - read - written), (int)(usage.OutputTokenCount ?? 0), written, read);
    }
}
