using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Workflows;

/// <summary>Executions as those who began them follow them: while they run, and nobody else's.</summary>
public sealed class UpdatesTests : IAsyncLifetime
{
    private Flows _flows = null!;

    private TestApi Api => _flows.Api;

    public async Task InitializeAsync()
    {
        _flows = await Flows.StartAsync();
        await _flows.DefineAsync("apply", new { id = "reserve", action = "reserve" }, new { id = "upload", action = "upload" });
    }

    public async Task DisposeAsync() => await _flows.DisposeAsync();

    [Fact]
    [Behaviour("mk-execution-progress-pubsub")]
    public async Task Progress_is_heard_by_followers_of_the_run_and_by_the_user_who_began_it_while_it_is_under_way()
    {
        var (_, key) = await Api.MemberAsync("admin");
        await using var own = await SseReader.OpenAsync(Api, "/api/v1/users/me/stream", key);
        var id = await BeginAsync(key);
        await using var run = await SseReader.OpenAsync(Api, $"/api/v1/workflow-instances/{id}/stream?after=0");
        var meanwhile = new List<string[]>();
        _flows.Depot.Meanwhile["upload"] = async () =>
        {
            meanwhile.Add([await TypesAsync(run, until: "workflow.step_completed"), await TypesAsync(own, until: "workflow.step_completed")]);
            Assert.Equal("in_progress", (await _flows.ReadAsync(id)).Status);
        };

        await _flows.DrainAsync();

        const string first = "workflow.started workflow.step_started workflow.step_completed";
        Assert.Equal([first, first], Assert.Single(meanwhile));
        const string rest = "workflow.step_started workflow.step_completed workflow.completed";
        Assert.Equal((rest, rest), (await TypesAsync(run, until: "workflow.completed"), await TypesAsync(own, until: "workflow.completed")));
        Assert.Equal(404, (await Api.GetAsync($"/api/v1/workflow-instances/{TimeProvider.System.NewId()}/stream")).Status);
    }

    [Fact]
    [Behaviour("mk-realtime-user-channel")]
    public async Task Updates_of_a_user_reach_that_user_and_no_other()
    {
        var (one, other) = (await Api.MemberAsync("admin"), await Api.MemberAsync("admin"));
        await using var ofOne = await SseReader.OpenAsync(Api, "/api/v1/users/me/stream?types=workflow.", one.Key);
        await using var ofOther = await SseReader.OpenAsync(Api, "/api/v1/users/me/stream?types=workflow.", other.Key);
        var (first, second) = (await BeginAsync(one.Key), await BeginAsync(other.Key));
        await _flows.DrainAsync();

        Assert.Equal([first], await RunsAsync(ofOne));
        Assert.Equal([second], await RunsAsync(ofOther));
    }

    [Fact]
    [Behaviour("mk-realtime-user-channel")]
    public async Task What_becomes_of_a_conversation_is_an_update_for_whom_it_was_handed_to_last()
    {
        var (one, other) = (await Api.MemberAsync("admin"), await Api.MemberAsync("admin"));
        await using var ofOne = await SseReader.OpenAsync(Api, "/api/v1/users/me/stream", one.Key);
        await using var ofOther = await SseReader.OpenAsync(Api, "/api/v1/users/me/stream", other.Key);

        await HandOverAsync(one.UserId);
        Assert.Equal(one.UserId, await AssigneeAsync(ofOne));
        await HandOverAsync(other.UserId);
        await BeginAsync(one.Key);

        Assert.Equal(other.UserId, await AssigneeAsync(ofOther));
        Assert.Equal("workflow.started", (await ofOne.NextAsync()).Event);
    }

    private async Task<Guid> BeginAsync(string key) =>
        (await Api.PostAsync("/api/v1/workflows/apply/start", new { conversation_id = _flows.ConversationId, input = new { } }, key)).Json.GetProperty("id").GetGuid();

    private Task HandOverAsync(Guid user) => Api.PostAsync($"/api/v1/conversations/{_flows.ConversationId}/hand-over", new { user_id = user });

    private static async Task<Guid> AssigneeAsync(SseReader stream) =>
        System.Text.Json.JsonDocument.Parse((await stream.NextAsync()).Data).RootElement.GetProperty("payload").GetProperty("assigned_user_id").GetGuid();

    private static async Task<string> TypesAsync(SseReader stream, string until)
    {
        var types = new List<string>();
        do
        {
            types.Add((await stream.NextAsync()).Event);
        }
        while (types[^1] != until);

        return string.Join(' ', types);
    }

    /// <summary>The runs of which the stream told until the first was over.</summary>
    private static async Task<IEnumerable<Guid>> RunsAsync(SseReader stream)
    {
        var runs = new List<Guid>();
        Sse e;
        do
        {
            e = await stream.NextAsync();
            runs.Add(System.Text.Json.JsonDocument.Parse(e.Data).RootElement.GetProperty("aggregate_id").GetGuid());
        }
        while (e.Event != "workflow.completed");

        return runs.Distinct();
    }
}
