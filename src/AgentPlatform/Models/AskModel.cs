using System.ClientModel;
using System.Text.Json;
using AgentPlatform.Channels.Custom;
using AgentPlatform.Kernel;
using AgentPlatform.Resilience;
using Anthropic.Exceptions;
using Microsoft.Extensions.AI;

namespace AgentPlatform.Models;

/// <summary>Asks a model over its official client, within its time-out, listens to the answer as it is written, and says how it went whatever happens.</summary>
internal sealed class AskModel(ModelClients clients, TimeProvider clock)
{
    internal async Task<ModelReply> AskAsync(PreparedCall prepared, Action<string> hear, CancellationToken ct)
    {
        var (model, prompt) = (prepared.Call.Model, prepared.Call.Prompt);
        using var client = clients.Open(model);
        if (client is null)
        {
            return ModelReply.Failed(ServiceVerdict.Untried, "The model's key cannot be opened: what it was sealed with is no longer configured.");
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(model.TimeoutSeconds), clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        var answer = new IncomingAnswer(prepared, hear);
        try
        {
            await foreach (var update in client.GetStreamingResponseAsync(Messages(prompt), Options(model, prompt), either.Token))
            {
                answer.Take(update);
            }

            return answer.Read();
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return ModelReply.Failed(ServiceVerdict.Broken, $"No answer in {model.TimeoutSeconds} s.") with { Tokens = answer.Paid };
        }
        catch (Exception e) when (!ct.IsCancellationRequested && Failure(e) is { } failure)
        {
            return failure with { Tokens = answer.Paid };
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
        return ModelReply.Failed(status is 408 or >= 500 ? ServiceVerdict.Broken : ServiceVerdict.Healthy, text.Clip(500));
    }
}
