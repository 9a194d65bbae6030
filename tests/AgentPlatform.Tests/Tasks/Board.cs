using System.Collections.Concurrent;
using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks;
using AgentPlatform.Tests.Api;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Tasks;

/// <summary>The task board behind its API, and a processor of tasks of type <c>probe</c> that does what the test says.</summary>
internal sealed class Board : IAsyncDisposable
{
    private Board(TestApi api, Probe probe) => (Api, Processor) = (api, probe);

    internal TestApi Api { get; }

    internal TestPlatform Platform => Api.Platform;

    internal Probe Processor { get; }

    internal static async Task<Board> StartAsync(params (string Key, string Value)[] settings)
    {
        var probe = new Probe();
        var api = await TestApi.StartAsync(services => services.AddSingleton<IAgencyTaskProcessor>(probe), settings);
        await api.Platform.DrainAsync();
        return new Board(api, probe);
    }

    /// <summary>Puts a task on the board through the API; <paramref name="more"/> are further fields of the body.</summary>
    internal async Task<Guid> PutAsync(string title, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { }, Json.Options)!.AsObject();
        body["title"] = title;
        body["task_type"] ??= "probe";
        var answer = await Api.PostAsync("/api/v1/agency-tasks", body.ToJsonString());
        Assert.True(answer.Status == 201, answer.Body);
        return answer.Json.GetProperty("id").GetGuid();
    }

    internal async Task<AgencyTask> ReadAsync(Guid id) => Json.Read<AgencyTask>((await Api.GetAsync($"/api/v1/agency-tasks/{id}")).Json);

    /// <summary>First attempt first.</summary>
    internal async Task<TaskExecution[]> ExecutionsAsync(Guid id) =>
        [.. Json.Read<TaskExecution[]>((await Api.GetAsync($"/api/v1/agency-tasks/{id}/executions")).Json.GetProperty("items")).Reverse()];

    internal Task<ApiAnswer> MoveAsync(Guid id, string move, object? body = null) => Api.PostAsync($"/api/v1/agency-tasks/{id}/{move}", body);

    internal Task<int> DrainAsync() => Platform.DrainAsync();

    /// <summary>What waits for its hour need not.</summary>
    internal async Task DrainDueAsync()
    {
        await ChangeAsync("UPDATE work.items SET run_at = now() - interval '1 second' WHERE state = 'ready'");
        await Platform.DrainAsync();
    }

    internal Task<int> ChangeAsync(string sql, params object?[] args) => Platform.AsAsync(Actor.System(Api.Tenant.TenantId), tx => tx.ExecuteAsync(sql, args, default));

    internal Task<IReadOnlyList<string>> EventsAsync(Guid id) => Platform.AsAsync(Api.Owner, tx =>
        tx.QueryAsync<string>("SELECT event_type FROM events.events WHERE aggregate_id = $1 ORDER BY version", [id], default));

    public ValueTask DisposeAsync() => Api.DisposeAsync();

    internal sealed class Probe : IAgencyTaskProcessor
    {
        /// <summary>The titles in the order in which the tasks were run.</summary>
        internal ConcurrentQueue<string> Ran { get; } = new();

        internal Func<TaskRun, Task<StepOutcome>> Does { get; set; } = _ => Task.FromResult<StepOutcome>(new StepOutcome.Done(Json.Of(new { answer = 42 }), "It is 42."));

        /// <summary>In place of the one step that <see cref="Does"/> is.</summary>
        internal IReadOnlyList<TaskStep>? Steps { get; set; }

        public bool Knows(string taskType) => taskType == "probe";

        public string? Refuses(AgencyTask task) => task.ExecutionConfig.TryGetProperty("broken", out _) ? "It is broken." : null;

        public IReadOnlyList<TaskStep> StepsOf(string taskType) => Steps ?? [new TaskStep("answer", (run, _, _) =>
        {
            Ran.Enqueue(run.Task.Title);
            return Does(run);
        })];
    }
}
