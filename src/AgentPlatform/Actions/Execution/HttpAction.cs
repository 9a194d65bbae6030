using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Actions.Execution;

/// <summary>What an attempt brought: a value, or why there is none.</summary>
internal sealed record ActionResult(JsonElement Value)
{
    internal int? ResponseStatus { get; init; }
    internal JsonElement? ResponseBody { get; init; }
    internal ActionFailure? Failure { get; init; }

    /// <summary>It was learned by asking, not by calling.</summary>
    internal bool Probed { get; init; }

    /// <summary>What it says about the effect: <c>happened</c>, <c>not_happened</c> or <c>unknown</c>.</summary>
    internal string Effect { get => field ?? EffectRules.StatusAfter(this); init; }

    internal static ActionResult Failed(ActionFailure failure) => new(Parameters.None) { Failure = failure };
}

/// <summary>
/// How a response is judged: every condition given must hold. Without <c>status_codes</c> a success criterion asks for 2xx;
/// <c>body</c> lists paths with <c>equals</c>, <c>one_of</c> or <c>exists</c>.
/// </summary>
internal sealed record ResponseCriteria(int[]? StatusCodes, BodyCondition[]? Body)
{
    internal bool Hold(int status, JsonElement body) =>
        (StatusCodes is null || StatusCodes.Contains(status)) && (Body ?? []).All(condition => condition.Holds(body));
}

internal sealed record BodyCondition(string Path, JsonElement? EqualTo, JsonElement[]? OneOf, bool? Exists)
{
    [System.Text.Json.Serialization.JsonPropertyName("equals")]
    public JsonElement? EqualTo { get; init; } = EqualTo;

    internal bool Holds(JsonElement body)
    {
        var found = JsonPath.Find(body, Path);
        return (Exists is not { } exists || exists == found is { ValueKind: not JsonValueKind.Null })
            && (EqualTo is not { } wanted || (found is { } value && JsonElement.DeepEquals(value, wanted)))
            && (OneOf is not { } allowed || (found is { } one && allowed.Any(option => JsonElement.DeepEquals(one, option))));
    }
}

/// <summary>Calls an action's endpoint once, with the item's idempotency key, or asks its probe, and judges the response.</summary>
internal sealed class HttpAction(EndpointClient endpoint, IOptions<ActionsOptions> options)
{
    internal Task<ActionResult> CallAsync(Guid tenantId, ActionDefinition action, QueuedAction item, JsonElement data, CancellationToken ct) =>
        SendAsync(action, () => Request(tenantId, action, item, data), (status, body) => Judge(action, status, body), ct);

    /// <summary>Whether an earlier call was carried out. A question that fails leaves it unknown.</summary>
    internal async Task<ActionResult> ProbeAsync(Guid tenantId, ActionDefinition action, EffectProbe probe, QueuedAction item, JsonElement data, CancellationToken ct)
    {
        var asked = action with { ApiMethod = probe.Method, ApiEndpoint = probe.Endpoint };
        var answer = await SendAsync(asked, () => Request(tenantId, asked, item, data), (status, body) => Judge(probe, status, body), ct);
        return answer with { Probed = true, Effect = answer.Failure is null ? "happened" : answer.Failure.Kind == ErrorKind.CriteriaFailed ? "not_happened" : "unknown" };
    }

    private async Task<ActionResult> SendAsync(ActionDefinition action, Func<HttpRequestMessage> make, Func<int, JsonElement, ActionResult> judge, CancellationToken ct)
    {
        var answer = await endpoint.SendAsync(make, action.TimeoutSeconds, ct);
        return answer.Failure is { } failure ? ActionResult.Failed(failure) : judge(answer.Status, answer.Body);
    }

    /// <summary>failure_criteria speak first, then success_criteria, then the status alone.</summary>
    internal static ActionResult Judge(ActionDefinition action, int status, JsonElement body)
    {
        ActionResult Fail(string kind, string message) => ActionResult.Failed(
            new(kind, message) { Code = status.ToString(System.Globalization.CultureInfo.InvariantCulture), ResponseStatus = status, ResponseBody = body });

        var ok = status is >= 200 and < 300;
        if (Criteria(action.FailureCriteria)?.Hold(status, body) == true)
        {
            return Fail(ErrorKind.CriteriaFailed, "The response matches failure_criteria.");
        }

        var criteria = Criteria(action.SuccessCriteria);
        if (criteria is null ? ok : criteria.Hold(status, body) && (ok || criteria.StatusCodes is not null))
        {
            return new(body) { ResponseStatus = status, ResponseBody = body };
        }

        return ok ? Fail(ErrorKind.CriteriaFailed, "The response does not meet success_criteria.")
            : EndpointClient.KindOf(status) == ErrorKind.ApiError ? Fail(ErrorKind.ApiError, $"The endpoint answered {status}.")
            : Fail(ErrorKind.ApiRejected, $"The endpoint refused the request with {status}.");
    }

    /// <summary>Without <c>status_codes</c> a criterion asks for 2xx; an answer that fits neither tells nothing.</summary>
    internal static ActionResult Judge(EffectProbe probe, int status, JsonElement body)
    {
        bool Fits(ResponseCriteria criteria) => criteria.Hold(status, body) && (criteria.StatusCodes is not null || status is >= 200 and < 300);
        return Fits(probe.Happened!) ? new(body) { ResponseStatus = status, ResponseBody = body }
            : ActionResult.Failed(Fits(probe.NotHappened!)
                ? new(ErrorKind.CriteriaFailed, "The call was not carried out.")
                : new(ErrorKind.ApiError, "The probe's answer fits neither of its criteria.") { ResponseStatus = status, ResponseBody = body });
    }

    private static ResponseCriteria? Criteria(JsonElement? criteria) =>
        criteria is { ValueKind: JsonValueKind.Object } value ? Json.Read<ResponseCriteria>(value) : null;

    private HttpRequestMessage Request(Guid tenantId, ActionDefinition action, QueuedAction item, JsonElement data)
    {
        var url = new Uri(Templates.Url(action.ApiEndpoint!, data));
        var request = new HttpRequestMessage(new HttpMethod(action.ApiMethod!), url);
        request.Headers.TryAddWithoutValidation("Idempotency-Key", item.IdempotencyKey);
        if (item.TraceId is { } trace)
        {
            request.Headers.TryAddWithoutValidation("X-Trace-Id", trace);
        }

        EndpointClient.AddHeaders(request, action.ApiHeaders, data);
        Authorize(tenantId, action, request);
        if (action.ApiMethod is not "GET" and not "DELETE")
        {
            var body = action.ApiBody is { ValueKind: not JsonValueKind.Null } template ? Templates.Body(template, data)?.ToJsonString(Json.Options) : item.ParamsCollected.GetRawText();
            request.Content = new StringContent(body ?? "null", Encoding.UTF8, "application/json");
        }

        return request;
    }

    private void Authorize(Guid tenantId, ActionDefinition action, HttpRequestMessage request)
    {
        if (action.ApiAuthType == "none")
        {
            return;
        }

        var secret = options.Value.Reveal(tenantId, JsonPath.Find(action.ApiAuth, "secret")?.GetString() ?? "", request.RequestUri!.Host);
        if (action.ApiAuthType == "api_key")
        {
            var header = JsonPath.Find(action.ApiAuth, "header_name")?.GetString() ?? "X-Api-Key";
            request.Headers.Remove(header);
            request.Headers.TryAddWithoutValidation(header, secret);
            return;
        }

        request.Headers.Authorization = action.ApiAuthType == "basic"
            ? new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(secret)))
            : new AuthenticationHeaderValue("Bearer", secret);
    }
}
