using System.ClientModel;
using System.Text.Json;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Costs;
using AgentPlatform.Kernel;
using AgentPlatform.Resilience;
using Anthropic.Exceptions;
using Microsoft.Extensions.AI;

namespace AgentPlatform.Models;

/// <summary>Asks a model over its official client, within its time-out, and says how it went whatever happens.</summary>
internal sealed class AskModel(ModelClients clients, TimeProvider clock)
{
    private const string CacheCreation = "CacheCreationInputTokens";

    internal async Task<ModelReply> AskAsync(PreparedCall prepared, CancellationToken ct)
    {
        var (model, prompt) = (prepared.Call.Model, prepared.Call.Prompt);
        using var client = clients.Open(model);
        if (client is null)
        {
            return ModelReply.Failed(ServiceVerdict.Untried, "The model's key cannot be opened: what it was sealed with is no longer configured.");
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(model.TimeoutSeconds), clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        try
        {
            return Read(prepared, await client.GetResponseAsync(Messages(prompt), Options(model, prompt), either.Token));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return ModelReply.Failed(ServiceVerdict.Broken, $"No answer in {model.TimeoutSeconds} s.");
        }
        catch (Exception e) when (!ct.IsCancellationRequested && Failure(e) is { } failure)
        {
            return failure;
        }
    }

    private static IEnumerable<ChatMessage> Messages(ModelPrompt prompt) =>
        prompt.Messages.Select(message => new ChatMessage(message.FromContact ? ChatRole.User : ChatRole.Assistant, message.Text));

    private static ChatOptions Options(LlmModel model, ModelPrompt prompt) => new()
    {
        Instructions = prompt.Instructions,
        MaxOutputTokens = model.MaxOutputTokens,
        Tools = [AIFunctionFactory.CreateDeclaration(prompt.Form.Name, prompt.Form.Description, prompt.Form.Schema)],
        ToolMode = ChatToolMode.RequireSpecific(prompt.Form.Name),
    };

    private static ModelReply Read(PreparedCall prepared, ChatResponse response)
    {
        var call = response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().FirstOrDefault(c => c.Name == prepared.Call.Prompt.Form.Name);
        return new(ServiceVerdict.Healthy)
        {
            Arguments = call?.Arguments is { } arguments ? Json.Of(arguments) : null,
            Text = string.IsNullOrWhiteSpace(response.Text) ? null : response.Text,
            FinishReason = response.FinishReason?.Value,
            RequestId = response.ResponseId,
            Tokens = response.Usage is { } usage ? Tokens(usage) : Guess(prepared, response),
        };
    }

    /// <summary>Both clients count what was read from and written to the cache among the input.</summary>
    private static TokenCounts Tokens(UsageDetails usage)
    {
        var (read, written) = ((int)(usage.CachedInputTokenCount ?? 0), (int)(usage.AdditionalCounts?.GetValueOrDefault(CacheCreation) ?? 0));
        return new(Math.Max(0, (int)(usage.InputTokenCount ?? 0) - read - written), (int)(usage.OutputTokenCount ?? 0), written, read);
    }

    /// <summary>A server that does not count: four bytes are about a token.</summary>
    private static TokenCounts Guess(PreparedCall prepared, ChatResponse response) =>
        new(prepared.Bytes / 4, JsonSerializer.Serialize(response.Messages, AIJsonUtilities.DefaultOptions).Length / 4);

    /// <summary>Null for what is a bug of ours. The clients read whatever a server says, and stumble over nonsense in many ways.</summary>
    private static ModelReply? Failure(Exception e) => e switch
    {
        AnthropicApiException api => Refused((int)api.StatusCode, api.ApiMessage ?? api.Message),
        ClientResultException { Status: > 0 } api => Refused(api.Status, api.Message),
        ForbiddenTargetException or { InnerException: ForbiddenTargetException } => ModelReply.Failed(ServiceVerdict.Untried, "The address of the model is not public."),
        ClientResultException or AnthropicIOException or HttpRequestException or IOException => ModelReply.Failed(ServiceVerdict.Broken, "The connection to the provider failed or broke."),
        AnthropicException or JsonException or FormatException or InvalidOperationException or KeyNotFoundException or ArgumentException =>
            ModelReply.Failed(ServiceVerdict.Broken, "The provider's answer could not be read."),
        _ => null,
    };

    /// <summary>A provider that refuses a request, or asks for patience, is well.</summary>
    private static ModelReply Refused(int status, string? message)
    {
        var text = Redaction.Clean($"The provider answered {status}: {message}");
        return ModelReply.Failed(status is 408 or >= 500 ? ServiceVerdict.Broken : ServiceVerdict.Healthy, text.Length > 500 ? text[..500] : text);
    }
}
