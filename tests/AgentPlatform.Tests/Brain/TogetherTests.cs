using AgentPlatform.Kernel;
using AgentPlatform.Tests.Actions;

namespace AgentPlatform.Tests.Brain;

/// <summary>A request and the values it needs, told in one turn but not in one sentence.</summary>
public sealed class TogetherTests : IAsyncLifetime
{
    private Talk _talk = null!;

    public async Task InitializeAsync()
    {
        var apply = Jobs.Apply with
        {
            ParamValidation = Json.Of(new { job_id = new { pattern = "^J[0-9]+$", prompt = "Which job?" }, email = new { type = "email", prompt = "What is your e-mail address?" } }),
        };
        var search = Jobs.Search with
        {
            ParamsOptional = Json.Of(new[] { "phone" }),
            ParamValidation = Json.Of(new { job_title = new { extract = new[] { "find me {value} jobs" } }, phone = new { type = "phone" } }),
        };
        _talk = await Talk.StartAsync(search, apply);
        _talk.Endpoint.Answers(200, Jobs.Found);
    }

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Theory]
    [InlineData("apply for J7", "my mail is", "ada@example.com")]
    [InlineData("apply for J7\nmy mail is", "ada@example.com")]
    [InlineData("apply for J7. It's ada@example.com.")]
    [InlineData("apply for a job", "J7", "ada@example.com")]
    public async Task What_is_told_with_a_request_is_not_asked_for_again(params string[] texts)
    {
        Assert.Equal("Your application for J7 is in.", await _talk.SayAsync(texts));

        Assert.Equal("""{"job":"J7","applicant":{"email":"ada@example.com"}}""", Assert.Single(_talk.Endpoint.Requests).Body);
        var told = (await _talk.IntentsAsync()).Where(i => i.IntentType == "provide_information").ToList();
        Assert.All(told, intent => Assert.Equal(("apply_job", "completed"), (intent.CanonicalIntent, intent.Status)));
        Assert.Contains(told, intent => intent.Resolution == "supplied email");
    }

    [Fact]
    public async Task What_is_said_with_a_request_comes_before_what_is_known_of_the_contact()
    {
        await _talk.InAsync(tx => tx.ExecuteAsync("UPDATE contacts.customer_profiles SET email = 'old@example.com' WHERE id = $1", [_talk.ContactId], default));

        await _talk.SayAsync("apply for J7", "ada@example.com");

        Assert.Equal("""{"job":"J7","applicant":{"email":"ada@example.com"}}""", Assert.Single(_talk.Endpoint.Requests).Body);
    }

    [Fact]
    public async Task A_complete_request_takes_nothing_that_is_not_told_as_its_own()
    {
        await _talk.SayAsync("find me nurse jobs", "call me at +1 415 555 0100");

        Assert.Equal("""{"job_title": "nurse"}""", Assert.Single(await _talk.QueueAsync()).ParamsCollected.GetRawText());
        Assert.DoesNotContain(await _talk.IntentsAsync(), i => i.IntentType == "provide_information");
    }
}
