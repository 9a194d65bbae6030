using AgentPlatform.Demo;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tests.Demo;

public sealed class JobBoardTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;
    private string _token = "";

    private JobBoard Board => _platform.Get<JobBoard>();

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _token = await OpenAsync(await _platform.NewTenantAsync());
    }

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task The_same_key_gives_the_same_application()
    {
        var first = await ApplyAsync("key-1", "J101");
        var again = await ApplyAsync("key-1", "J101");

        Assert.Equal(first.Application!.Id, again.Application!.Id);
        Assert.Equal("Your application for Software Engineer at Havelwerk has been sent.", again.Message);
    }

    [Fact]
    public async Task A_person_applies_for_a_job_once_and_again_after_cancelling()
    {
        var first = await ApplyAsync("key-1", "J101");
        var second = await ApplyAsync("key-2", "J101");
        var cancelled = (await Board.CancelAsync(_token, new CancelRequest("J101", "ada"), default)).Value;
        var third = await ApplyAsync("key-3", "J101");

        Assert.Equal(first.Application!.Id, second.Application!.Id);
        Assert.Equal(("cancelled", first.Application.Id), (cancelled.Application!.Status, cancelled.Application.Id));
        Assert.NotEqual(first.Application.Id, third.Application!.Id);
        Assert.Equal(["submitted", "cancelled"], (await Board.ListAsync(_token, "ada", default)).Value.Applications.Select(a => a.Application!.Status));
    }

    [Fact]
    public async Task Cancelling_without_naming_a_job_takes_back_the_latest_that_is_running()
    {
        await ApplyAsync("key-1", "J101");
        await ApplyAsync("key-2", "J104");
        var latest = (await Board.CancelAsync(_token, new CancelRequest(null, "ada"), default)).Value;
        var next = (await Board.CancelAsync(_token, new CancelRequest(null, "ada"), default)).Value;

        Assert.Equal(["J104", "J101"], new[] { latest.Job!.JobId, next.Job!.JobId });
    }

    [Fact]
    public async Task A_person_is_known_from_their_first_application_on()
    {
        Assert.Equal("candidate_not_found", (await Board.CandidateAsync(_token, "ada", default)).Problem?.Code);
        await ApplyAsync("key-1", "J101");
        await ApplyAsync("key-2", "J104");
        await Board.CancelAsync(_token, new CancelRequest("J101", "ada"), default);

        Assert.Equal(new Candidate("ada@example.com", null, 1), (await Board.CandidateAsync(_token, "ada", default)).Value.Candidate);
        Assert.Equal("board_not_found", (await Board.CandidateAsync(Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString(), "ada", default)).Problem?.Code);
    }

    [Fact]
    public async Task Unknown_jobs_and_applications_are_not_found()
    {
        Assert.Equal("job_not_found", (await Board.ApplyAsync(_token, "key-1", new ApplicationRequest("J999", "ada", "ada@example.com", null), default)).Problem!.Code);
        Assert.Equal("application_not_found", (await Board.CancelAsync(_token, new CancelRequest(null, "ada"), default)).Problem!.Code);
        Assert.Equal("job_not_found", (await Board.CancelAsync(_token, new CancelRequest("J999", "ada"), default)).Problem!.Code);
    }

    [Fact]
    public async Task Another_board_knows_nothing_of_this_one()
    {
        await ApplyAsync("key-1", "J101");
        var other = await OpenAsync(await _platform.NewTenantAsync("Other"));

        Assert.Equal(0, (await Board.ListAsync(other, "ada", default)).Value.Count);
        Assert.Equal("board_not_found", (await Board.ListAsync(Guid.Empty.ToString(), "ada", default)).Problem!.Code);
        Assert.Equal("board_not_found", (await Board.ListAsync("' OR true --", "ada", default)).Problem!.Code);
    }

    private Task<string> OpenAsync(Actor tenant) => _platform.AsAsync(tenant, async tx => (await Board.OpenAsync(tx, default)).ToString());

    private async Task<ApplicationAnswer> ApplyAsync(string key, string job) =>
        (await Board.ApplyAsync(_token, key, new ApplicationRequest(job, "ada", "ada@example.com", null), default)).Value;
}
