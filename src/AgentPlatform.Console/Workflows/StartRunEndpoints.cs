using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows;
using AgentPlatform.Workflows.Starting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Workflows;

/// <summary>A form that starts a run of a workflow: a field for each name that its definition reads of the input.</summary>
internal static partial class StartRunEndpoints
{
    private const string Write = "workflows:write";
    private const string Prefix = "input.";

    internal static void MapStartRun(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/workflows/start/{workflow}", ShowAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/workflows/start/{workflow}", StartAsync).WithMetadata(new NeedsScope(Write));
    }

    private static Task<IResult> ShowAsync(HttpContext http, Database database, WorkflowEngine engine, ReadOverview overview, string workflow, CancellationToken ct) =>
        PageAsync(http, database, engine, overview, workflow, given: [], refusal: null, ct);

    private static async Task<IResult> StartAsync(HttpContext http, Database database, WorkflowEngine engine, ReadOverview overview, string workflow, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var given = form.ToDictionary(f => f.Key, f => f.Value.ToString(), StringComparer.Ordinal);
        var conversation = Guid.TryParse(given.GetValueOrDefault("conversation"), out var id) ? id : Guid.Empty;
        await using var tx = database.Begin(OperatorSession.Of(http).Actor);
        var started = await engine.StartAsync(tx, new WorkflowStart(workflow, conversation, "api", $"console:{given.GetValueOrDefault("form_key")}") { Input = InputOf(given) }, ct);
        if (!started.IsOk)
        {
            return await PageAsync(http, database, engine, overview, workflow, given, started.Problem, ct);
        }

        await tx.CommitAsync(ct);
        return Pages.See($"/workflows/{started.Value.Id}");
    }

    private static async Task<IResult> PageAsync(
        HttpContext http, Database database, WorkflowEngine engine, ReadOverview overview, string workflowId, Dictionary<string, string> given, Problem? refusal, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        await using var tx = database.Begin(actor);
        if (await engine.WorkflowAsync(tx, workflowId, ct) is not { } workflow)
        {
            return Pages.NotFound;
        }

        var read = await overview.ReadAsync(actor, cursor: null, ct);
        return new RazorComponentResult<StartRunPage>(new
        {
            Workflow = workflow,
            Inputs = InputsOf(workflow.Definition),
            read.Value.Conversations,
            Given = (IReadOnlyDictionary<string, string>)given,
            Error = refusal?.Detail ?? refusal?.Title,
        })
        { StatusCode = refusal?.Status };
    }

    /// <summary>The names after <c>$.input.</c>, in the order in which the definition first reads them.</summary>
    internal static IReadOnlyList<string> InputsOf(JsonElement definition) =>
        [.. InputPath().Matches(definition.GetRawText()).Select(m => m.Groups["name"].Value).Distinct(StringComparer.Ordinal)];

    /// <summary>What is JSON is taken as such, anything else as text; an empty field is absent.</summary>
    internal static JsonElement InputOf(IReadOnlyDictionary<string, string> given)
    {
        var input = new JsonObject();
        foreach (var (name, text) in given.Where(g => g.Key.StartsWith(Prefix, StringComparison.Ordinal) && g.Value.Length > 0))
        {
            input[name[Prefix.Length..]] = Parse(text);
        }

        return Json.Of(input);
    }

    private static JsonNode? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }

    [GeneratedRegex(@"\$\.input\.(?<name>[A-Za-z_][A-Za-z0-9_]*)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex InputPath();
}
