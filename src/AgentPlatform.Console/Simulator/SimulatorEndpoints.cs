using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Console.Simulator;

internal static class SimulatorEndpoints
{
    private const string Read = "conversations:read";
    private const string Write = "conversations:write";

    internal static void MapSimulator(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/simulator", StartAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/simulator", BeginAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapGet("/simulator/{id:guid}", ShowAsync).WithMetadata(new NeedsScope(Read));
        endpoints.MapPost("/simulator/{id:guid}/messages", SayAsync).WithMetadata(new NeedsScope(Write));
        endpoints.MapGet("/simulator/{id:guid}/events", StreamAsync).WithMetadata(new NeedsScope(Read));
    }

    private static Task<IResult> StartAsync(HttpContext http, ReadOverview overview, Guid? agent, CancellationToken ct) =>
        StartPageAsync(http, overview, agent, text: null, refusal: null, ct);

    private static async Task<IResult> BeginAsync(HttpContext http, ReadOverview overview, SpeakAsContact contact, CancellationToken ct)
    {
        var form = await http.Request.ReadFormAsync(ct);
        var agent = Guid.TryParse(form["agent"], out var id) ? id : Guid.Empty;
        var begun = await contact.BeginAsync(OperatorSession.Of(http).Actor, agent, form["text"].ToString(), ct);
        return begun.IsOk ? Pages.See($"/simulator/{begun.Value}") : await StartPageAsync(http, overview, agent, form["text"].ToString(), begun.Problem, ct);
    }

    private static async Task<IResult> ShowAsync(HttpContext http, ReadConversation conversations, Guid id, CancellationToken ct) =>
        await conversations.FindAsync(OperatorSession.Of(http).Actor, id, ct) is { } view ? Page(http, view, text: null, refusal: null) : Pages.NotFound;

    private static async Task<IResult> SayAsync(HttpContext http, ReadConversation conversations, SpeakAsContact contact, Guid id, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        var form = await http.Request.ReadFormAsync(ct);
        var said = await contact.SayAsync(actor, id, form["text"].ToString(), ct);
        if (said.IsOk)
        {
            return Pages.See($"/simulator/{id}");
        }

        return await conversations.FindAsync(actor, id, ct) is { } view ? Page(http, view, form["text"].ToString(), said.Problem) : Pages.NotFound;
    }

    private static async Task<IResult> StreamAsync(HttpContext http, StreamConversation stream, Guid id, int? after, CancellationToken ct)
    {
        var actor = OperatorSession.Of(http).Actor;
        // A browser that reconnects says where it was; a first connection says what its page showed.
        var seen = int.TryParse(http.Request.Headers["Last-Event-ID"], out var last) ? last : after ?? 0;
        return await stream.OpenAsync(actor, id, ct) is { } view ? TypedResults.ServerSentEvents(stream.FollowAsync(actor, view, seen, ct)) : Pages.NotFound;
    }

    private static async Task<IResult> StartPageAsync(HttpContext http, ReadOverview overview, Guid? agent, string? text, Problem? refusal, CancellationToken ct)
    {
        var session = OperatorSession.Of(http);
        var read = await overview.ReadAsync(session.Actor, cursor: null, ct);
        return new RazorComponentResult<StartPage>(new
        {
            // The oldest first: it is the one that takes messages nobody else does.
            Agents = read.Value.Agents.Where(a => a.Enabled).Reverse().ToList(),
            Recent = read.Value.Conversations,
            Chosen = agent,
            MayWrite = session.May(Write),
            Error = Words(refusal),
            Text = text,
        })
        { StatusCode = refusal?.Status };
    }

    private static RazorComponentResult<ConversationPage> Page(HttpContext http, ConversationView view, string? text, Problem? refusal) => new(new
    {
        View = view,
        MayWrite = OperatorSession.Of(http).May(Write),
        Error = Words(refusal),
        Text = text,
    })
    { StatusCode = refusal?.Status };

    private static string? Words(Problem? refusal) =>
        refusal is null ? null : refusal.Errors is { Count: > 0 } errors ? string.Join(' ', errors.SelectMany(e => e.Value.Select(v => $"{Capital(e.Key)}: {v}"))) : refusal.Title;

    private static string Capital(string name) => char.ToUpperInvariant(name[0]) + name[1..].Replace('_', ' ');
}
