using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.LocalHost.Http;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>The management endpoints of Durable Functions, opened by the host's system key for them or by the master key.</summary>
internal static class ManagementEndpoints
{
    internal static void MapDurable(this IEndpointRouteBuilder routes, FunctionCatalog catalog, HostKeys keys, PostgresDurableClient client, InstanceReader reader)
    {
        if (!catalog.Of<OrchestrationTriggerAttribute>().Any())
        {
            return;
        }

        var root = routes.MapGroup(ManagementUrls.Root).AddEndpointFilter(async (context, next) =>
            keys.Admits(context.HttpContext.Request, AuthorizationLevel.System, function: null) ? await next(context) : TypedResults.StatusCode(401));
        var names = catalog.Of<OrchestrationTriggerAttribute>()
            .Select(f => f.Trigger.Orchestration ?? f.Function.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        root.MapPost("/orchestrators/{name}/{id?}", (string name, string? id, HttpRequest request, CancellationToken ct) => StartAsync(client, names, name, id, request, ct));
        root.MapGet("/instances", (HttpRequest request, CancellationToken ct) => ListAsync(reader, request, ct));
        root.MapDelete("/instances", (HttpRequest request, CancellationToken ct) => PurgeAllAsync(client, request, ct));
        var one = root.MapGroup("/instances/{id}");
        one.MapGet("", (string id, HttpRequest request, CancellationToken ct) => StatusAsync(client, id, request, ct));
        one.MapDelete("", async (string id, CancellationToken ct) => Deleted(await client.PurgeInstanceAsync(id, ct)));
        one.MapPost("/raiseEvent/{name}", (string id, string name, HttpRequest request, CancellationToken ct) => RaiseAsync(client, id, name, request, ct));
        one.MapPost("/terminate", (string id, string? reason, CancellationToken ct) =>
            CommandAsync(client, id, () => client.TerminateInstanceAsync(id, reason, ct), ct));
        one.MapPost("/suspend", (string id, string? reason, CancellationToken ct) => CommandAsync(client, id, () => client.SuspendInstanceAsync(id, reason, ct), ct));
        one.MapPost("/resume", (string id, string? reason, CancellationToken ct) => CommandAsync(client, id, () => client.ResumeInstanceAsync(id, reason, ct), ct));
        one.MapPost("/rewind", (string id, string? reason, CancellationToken ct) => RewindAsync(client, id, reason, ct));
        one.MapPost("/restart", (string id, bool? restartWithNewInstanceId, CancellationToken ct) => RestartAsync(client, id, restartWithNewInstanceId ?? false, ct));
    }

    private static async Task<IResult> StartAsync(
        PostgresDurableClient client, HashSet<string> names, string name, string? id, HttpRequest request, CancellationToken ct)
    {
        if (!names.Contains(name))
        {
            return TypedResults.BadRequest(new { Message = $"There is no orchestrator '{name}'." });
        }

        var (isJson, input) = await JsonAsync(request, ct);
        if (!isJson)
        {
            return NoJson();
        }

        try
        {
            return Accepted(client, await client.StartAsync(name, input, new StartOrchestrationOptions(id), ct));
        }
        catch (InvalidOperationException e)
        {
            return TypedResults.Conflict(new { e.Message });
        }
    }

    private static async Task<IResult> StatusAsync(PostgresDurableClient client, string id, HttpRequest request, CancellationToken ct)
    {
        if (await client.GetInstanceAsync(id, getInputsAndOutputs: true, ct) is not { } instance)
        {
            return TypedResults.NotFound();
        }

        var body = Describe(instance, showInput: !IsFalse(request.Query["showInput"]));
        if (!instance.IsCompleted)
        {
            request.HttpContext.Response.Headers.Location = client.Urls.Of(id).StatusQueryGetUri;
            request.HttpContext.Response.Headers.RetryAfter = "10";
            return TypedResults.Json(body, statusCode: StatusCodes.Status202Accepted);
        }

        var fails = instance.RuntimeStatus == OrchestrationRuntimeStatus.Failed && bool.TryParse(request.Query["returnInternalServerErrorOnFailure"], out var asked) && asked;
        return TypedResults.Json(body, statusCode: fails ? StatusCodes.Status500InternalServerError : StatusCodes.Status200OK);
    }

    private static async Task<IResult> ListAsync(InstanceReader reader, HttpRequest request, CancellationToken ct)
    {
        if (!TryRead(request, out var from, out var to, out var statuses))
        {
            return TypedResults.BadRequest(new { Message = "createdTimeFrom, createdTimeTo or runtimeStatus cannot be read." });
        }

        var top = int.TryParse(request.Query["top"], NumberStyles.None, CultureInfo.InvariantCulture, out var asked) && asked is > 0 and <= 1000 ? asked : 100;
        var query = new OrchestrationQuery(from, to, statuses, null, request.Query["instanceIdPrefix"].ToString() is { Length: > 0 } prefix ? prefix : null, FetchInputsAndOutputs: true);
        try
        {
            var page = await reader.PageAsync(query, request.Headers["x-ms-continuation-token"], top, ct);
            request.HttpContext.Response.Headers["x-ms-continuation-token"] = page.ContinuationToken ?? "";
            var showInput = !IsFalse(request.Query["showInput"]);
            return TypedResults.Json(page.Values.Select(i => Describe(i, showInput)));
        }
        catch (ArgumentException e)
        {
            return TypedResults.BadRequest(new { e.Message });
        }
    }

    private static async Task<IResult> PurgeAllAsync(PostgresDurableClient client, HttpRequest request, CancellationToken ct) =>
        TryRead(request, out var from, out var to, out var statuses) && from is not null
            ? Deleted(await client.PurgeAllInstancesAsync(new PurgeInstancesFilter(from, to, statuses), ct))
            : TypedResults.BadRequest(new { Message = "createdTimeFrom must be given." });

    private static async Task<IResult> RaiseAsync(PostgresDurableClient client, string id, string name, HttpRequest request, CancellationToken ct)
    {
        var (isJson, payload) = await JsonAsync(request, ct);
        return isJson ? await CommandAsync(client, id, () => client.RaiseAsync(id, name, payload, ct), ct) : NoJson();
    }

    private static async Task<IResult> CommandAsync(PostgresDurableClient client, string id, Func<Task> command, CancellationToken ct)
    {
        switch (await client.GetInstanceAsync(id, ct))
        {
            case null:
                return TypedResults.NotFound();
            case { IsCompleted: true }:
                return TypedResults.StatusCode(StatusCodes.Status410Gone);
            default:
                await command();
                return TypedResults.Accepted((string?)null);
        }
    }

    private static async Task<IResult> RewindAsync(PostgresDurableClient client, string id, string? reason, CancellationToken ct)
    {
        try
        {
            await client.RewindInstanceAsync(id, reason ?? "", ct);
            return TypedResults.Accepted((string?)null);
        }
        catch (ArgumentException)
        {
            return TypedResults.NotFound();
        }
        catch (InvalidOperationException e)
        {
            return TypedResults.Json(new { e.Message }, statusCode: StatusCodes.Status410Gone);
        }
    }

    private static async Task<IResult> RestartAsync(PostgresDurableClient client, string id, bool withNewId, CancellationToken ct)
    {
        try
        {
            return Accepted(client, await client.RestartAsync(id, withNewId, ct));
        }
        catch (ArgumentException)
        {
            return TypedResults.NotFound();
        }
        catch (InvalidOperationException e)
        {
            return TypedResults.Conflict(new { e.Message });
        }
    }

    private static Accepted<HttpManagementPayload> Accepted(PostgresDurableClient client, string id)
    {
        var urls = client.Urls.Of(id);
        return TypedResults.Accepted(urls.StatusQueryGetUri, urls);
    }

    private static IResult Deleted(PurgeResult purged) =>
        purged.PurgedInstanceCount > 0 ? TypedResults.Ok(new { instancesDeleted = purged.PurgedInstanceCount }) : TypedResults.NotFound();

    private static BadRequest<string> NoJson() => TypedResults.BadRequest("The body is no JSON.");

    private static object Describe(OrchestrationMetadata instance, bool showInput) => new
    {
        name = instance.Name,
        instanceId = instance.InstanceId,
        runtimeStatus = instance.RuntimeStatus.ToString(),
        input = showInput ? Node(instance.SerializedInput) : null,
        customStatus = Node(instance.SerializedCustomStatus),
        output = instance.FailureDetails is { } failure ? JsonValue.Create(failure.ToString()) : Node(instance.SerializedOutput),
        createdTime = instance.CreatedAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        lastUpdatedTime = instance.LastUpdatedAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
    };

    private static JsonNode? Node(string? json) => json is null ? null : JsonNode.Parse(json);

    private static bool IsFalse(string? text) => string.Equals(text, "false", StringComparison.OrdinalIgnoreCase);

    private static async Task<(bool IsJson, string? Text)> JsonAsync(HttpRequest request, CancellationToken ct)
    {
        using var reader = new StreamReader(request.Body);
        var text = await reader.ReadToEndAsync(ct);
        if (string.IsNullOrWhiteSpace(text))
        {
            return (true, null);
        }

        try
        {
            using var json = JsonDocument.Parse(text);
            // Without the blanks around it: a stored payload begins with JSON.
            return (true, json.RootElement.GetRawText());
        }
        catch (JsonException)
        {
            return (false, null);
        }
    }

    private static bool TryRead(HttpRequest request, out DateTimeOffset? from, out DateTimeOffset? to, out OrchestrationRuntimeStatus[]? statuses)
    {
        (to, statuses) = (null, null);
        if (!TryTime(request.Query["createdTimeFrom"], out from) || !TryTime(request.Query["createdTimeTo"], out to))
        {
            return false;
        }

        var asked = request.Query["runtimeStatus"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var found = new List<OrchestrationRuntimeStatus>();
        foreach (var name in asked)
        {
            if (!Enum.TryParse<OrchestrationRuntimeStatus>(name, ignoreCase: true, out var status))
            {
                return false;
            }

            found.Add(status);
        }

        statuses = found.Count > 0 ? [.. found] : null;
        return true;
    }

    private static bool TryTime(string? text, out DateTimeOffset? time)
    {
        time = null;
        if (string.IsNullOrEmpty(text))
        {
            return true;
        }

        var isTime = DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var read);
        time = read;
        return isTime;
    }
}
