using System.Diagnostics;
using System.Text;
using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>Asks a tenant's own system about one contact, once, and judges the answer.</summary>
internal sealed class CallSchemaApi(EndpointClient endpoint, SecretBox secrets, TimeProvider clock)
{
    internal async Task<FetchAnswer> AskAsync(SchemaDefinition schema, ConversationSession session, Contact? contact, CancellationToken ct)
    {
        var data = Json.Of(new { contact = TemplateData.Person(contact), session_id = session.SessionId, conversation_id = session.ConversationId, channel = session.Channel, channel_user_id = session.UserChannelId });
        if (EndpointClient.Unknown(schema.ApiEndpoint, data) is { } unknown)
        {
            return Failed(new(ErrorReaction.NotIdentified, $"{unknown} is not known of this contact."), 0);
        }

        var token = schema.SealedToken is { } box ? secrets.Open(box, schema.Id) : null;
        if (token is null && schema.SealedToken is not null)
        {
            return Failed(new(ErrorKind.Configuration, "The token cannot be opened: its key is no longer configured."), 0);
        }

        var began = clock.GetUtcNow();
        var answer = await endpoint.SendAsync(() => Request(schema, data, token), schema.ApiTimeoutSeconds, ct);
        return Judge(answer, token, (int)(clock.GetUtcNow() - began).TotalMilliseconds);
    }

    private static FetchAnswer Judge(EndpointAnswer answer, string? token, int timeMs)
    {
        if (answer.Failure is { } failure)
        {
            return Failed(new(failure.Kind, failure.Message), timeMs);
        }

        var status = answer.Status;
        return status is < 200 or >= 300
            ? Failed(new(EndpointClient.KindOf(status), $"The endpoint answered {status}.", status), timeMs)
            : !answer.IsJson || answer.Body.ValueKind != JsonValueKind.Object
            ? Failed(new(ErrorReaction.InvalidResponse, "The answer is no JSON object.", status), timeMs)
            // An endpoint that echoes requests would otherwise carry the token into a row that people read.
            : token is not null && answer.Body.GetRawText().Contains(token, StringComparison.Ordinal)
            ? Failed(new(ErrorReaction.InvalidResponse, "The answer repeats the token.", status), timeMs)
            : new(answer.Body, status, timeMs);
    }

    private static FetchAnswer Failed(FetchFailure failure, int timeMs) => new(Parameters.None, failure.Status, timeMs) { Failure = failure };

    private static HttpRequestMessage Request(SchemaDefinition schema, JsonElement data, string? token)
    {
        var request = new HttpRequestMessage(new HttpMethod(schema.ApiMethod), new Uri(Templates.Url(schema.ApiEndpoint, data)));
        EndpointClient.AddHeaders(request, schema.ApiHeaders, data);
        if (token is not null)
        {
            var auth = schema.Auth;
            request.Headers.Remove(auth.Header);
            request.Headers.TryAddWithoutValidation(auth.Header, auth.Value(token));
        }

        if (Activity.Current is { } trace)
        {
            request.Headers.TryAddWithoutValidation("X-Trace-Id", trace.TraceId.ToHexString());
        }

        if (schema.ApiMethod != "GET")
        {
            request.Content = new StringContent(data.GetRawText(), Encoding.UTF8, "application/json");
        }

        return request;
    }
}
