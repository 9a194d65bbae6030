using System.ClientModel;
using System.ClientModel.Primitives;
using AgentPlatform.Channels;
using Anthropic;
using Microsoft.Extensions.AI;
using OpenAI;

namespace AgentPlatform.Models;

/// <summary>Opens the official client of a model's provider, over one HTTP client that looks after retries and forbidden targets.</summary>
internal sealed class ModelClients(IHttpClientFactory http, SecretBox box)
{
    internal const string ClientName = "models";

    /// <summary>Local servers ask for no key, and their clients will not go without one.</summary>
    private const string NoKey = "none";

    /// <summary>Null when the model's key cannot be opened: what it was sealed with is no longer configured.</summary>
    internal IChatClient? Open(LlmModel model) =>
        (model.ApiKeySealed is { } sealedKey ? box.Open(sealedKey, model.Id) : NoKey) is not { } key ? null
        : model.Provider == "anthropic" ? Anthropic(model, key)
        : OpenAI(model, key);

    private IChatClient Anthropic(LlmModel model, string key)
    {
        var options = new Anthropic.Core.ClientOptions { ApiKey = key, HttpClient = http.CreateClient(ClientName), MaxRetries = 0, Timeout = Timeout.InfiniteTimeSpan };
        return new AnthropicClient(model.BaseUrl is { } url ? options with { BaseUrl = url } : options).AsIChatClient(model.Model);
    }

    private IChatClient OpenAI(LlmModel model, string key)
    {
        var options = new OpenAIClientOptions
        {
            Transport = new HttpClientPipelineTransport(http.CreateClient(ClientName)),
            RetryPolicy = new ClientRetryPolicy(0),
            NetworkTimeout = Timeout.InfiniteTimeSpan,
        };
        if (model.BaseUrl is { } url)
        {
            options.Endpoint = new Uri(url);
        }

        return new OpenAIClient(new ApiKeyCredential(key), options).GetChatClient(model.Model).AsIChatClient();
    }
}
