using System.Globalization;
using System.Text.Json;
using AgentPlatform.Brain.Instances;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Sops;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy.Instances;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Agents;

/// <summary>Agents: which there are, and one with its instances side by side, its template sets, and a form that deploys another instance.</summary>
internal static class AgentEndpoints
{
    internal const string Read = "agents:read";
    internal const string Write = "agents:write";

    internal static void MapAgents(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/console/agents", ListAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapGet("/console/agents/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/console/agents/{id:guid}/instances", DeployAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapPost("/console/agents/{id:guid}/instances/{instance:guid}/terminate", TerminateAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapTemplateSets();
    }

    private static async Task<IResult> ListAsync(HttpContext http, AgentDesk desk, CancellationToken ct) =>
        new RazorComponentResult<AgentsPage>(new { Agents = await desk.ListAsync(OperatorSession.Of(http).Actor, ct) });

    private static Task<IResult> ShowAsync(HttpContext http, AgentDesk desk, Guid id, CancellationToken ct) => PageAsync(http, desk, id, given: [], refusal: null, ct);

    private static async Task<IResult> DeployAsync(HttpContext http, AgentDesk desk, Guid id, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var given = form.ToDictionary(f => f.Key, f => f.Value.ToString().ReplaceLineEndings("\n"), StringComparer.Ordinal);
        var deployed = await desk.DeployAsync(OperatorSession.Of(http).Actor, id, InputOf(given), ct);
        return deployed.IsOk ? Pages.See($"/console/agents/{id}") : await PageAsync(http, desk, id, given, deployed.Problem, ct);
    }

    private static async Task<IResult> TerminateAsync(HttpContext http, AgentDesk desk, Guid id, Guid instance, CancellationToken ct)
    {
        var ended = await desk.TerminateAsync(OperatorSession.Of(http).Actor, instance, ct);
        return ended.IsOk ? Pages.See($"/console/agents/{id}") : await PageAsync(http, desk, id, given: [], ended.Problem, ct);
    }

    private static async Task<IResult> PageAsync(HttpContext http, AgentDesk desk, Guid id, Dictionary<string, string> given, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        return await desk.ReadAsync(session.Actor, id, ct) is not { } document
            ? Pages.NotFound
            : new RazorComponentResult<AgentPage>(new
            {
                Document = document,
                MayWrite = session.May(Write),
                Given = (IReadOnlyDictionary<string, string>)given,
                Error = SopEndpoints.Words(refusal),
            })
            { StatusCode = refusal?.Status };
    }

    /// <summary>What is left empty stays as the agent has it.</summary>
    private static AgentInstanceInput InputOf(Dictionary<string, string> given)
    {
        var config = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in new[] { "system_prompt", "default_model", "model_use" })
        {
            if (Given(given, name) is { } value)
            {
                config[name] = value;
            }
        }

        return new(
            Given(given, "agent_type"), Given(given, "name"), Number(given, "weight", otherwise: 100), Json.Of(config),
            Guid.TryParse(Given(given, "template_set_id"), out var set) ? set : null, Given(given, "prompt_version") is null ? null : Number(given, "prompt_version", otherwise: 0));
    }

    private static string? Given(Dictionary<string, string> given, string name) => given.GetValueOrDefault(name)?.Trim() is { Length: > 0 } text ? text : null;

    /// <summary>What is no number is out of every range, and refused with its reason.</summary>
    private static int Number(Dictionary<string, string> given, string name, int otherwise) =>
        Given(given, name) is not { } text ? otherwise : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : int.MaxValue;
}
