using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Demo;
using AgentPlatform.Postgres;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>The demo's application with a résumé, and what its board knows of an applicant, by text message, on a real host.</summary>
public sealed class DemoWorkflowTests : IAsyncLifetime
{
    private const string Applicant = "+14155550101";

    private readonly HttpClient _provider = new();
    private TestPlatform _platform = null!;
    private HostProcess _host = null!;
    private DemoFile _demo = null!;
    private int _texts;

    public async Task InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        var port = HostProcess.FreePort();
        var seeded = await _platform.Get<DemoSeeder>().SeedAsync(null, $"http://127.0.0.1:{port}", default);
        Assert.True(seeded.IsOk, seeded.Problem is { } problem ? $"{problem} {JsonSerializer.Serialize(problem.Errors)}" : null);
        _demo = seeded.Value;
        _host = await HostProcess.StartAsync(_platform.Postgres.ConnectionString, port, ("Actions__AllowPrivateTargets", "true"));
    }

    public async Task DisposeAsync()
    {
        _provider.Dispose();
        await _host.DisposeAsync();
        await _platform.DisposeAsync();
    }

    [Fact]
    public async Task A_text_starts_it_a_colleague_allows_it_by_text_and_the_employers_answer_ends_it()
    {
        await AskAsync("ada@example.com");
        await AllowAsync();
        await HeardAsync(Applicant, "has been sent");
        Assert.Equal((1, 1, 1), await BooksAsync());

        var instance = await InstanceAsync(i => i.GetProperty("steps_completed").GetInt32() == 5);
        Assert.Equal(("in_progress", "intent"), (instance.GetProperty("status").GetString(), instance.GetProperty("started_by").GetString()));
        using var signal = await ApiAsync(HttpMethod.Post, $"api/v1/workflow-instances/{instance.GetProperty("id").GetGuid()}/signals", new { name = "employer_answered", payload = new { answer = "Come on Monday." } });
        Assert.True(signal.IsSuccessStatusCode);
        await HeardAsync(Applicant, "The employer has answered: Come on Monday.");
        Assert.Equal(100, (await InstanceAsync(i => i.GetProperty("status").GetString() == "completed")).GetProperty("progress_percentage").GetInt32());
    }

    [Fact]
    public async Task A_submission_that_fails_lets_go_of_the_place_and_the_resume_and_says_so()
    {
        // The employer cannot answer there, and refuses it.
        await AskAsync("ada@example.invalid");
        await AllowAsync();
        await HeardAsync(Applicant, "could not be sent");

        var failed = await InstanceAsync(i => i.GetProperty("status").GetString() == "failed");
        Assert.True(failed.GetProperty("rollback_performed").GetBoolean());
        Assert.Equal(["upload_resume", "reserve"], failed.GetProperty("rollback_steps").EnumerateArray().Select(u => u.GetProperty("step_id").GetString()));
        Assert.Equal((0, 0, 0), await BooksAsync());
    }

    [Fact]
    public async Task Tips_are_for_those_whom_the_board_knows_and_come_by_themselves_once_it_does()
    {
        await TextAsync(Applicant, "interview tips");
        await HeardAsync(Applicant, "I am looking up your candidate");
        await HeardAsync(Applicant, "I still need: email, applications");

        await TextAsync(Applicant, "apply for a job");
        await HeardAsync(Applicant, "Which job");
        await TextAsync(Applicant, "J101");
        await HeardAsync(Applicant, "Which e-mail");
        await TextAsync(Applicant, "ada@example.com");
        await HeardAsync(Applicant, "has been sent");
        var session = await _platform.Postgres.ScalarAsync<Guid>("SELECT id FROM conversations.sessions WHERE status = 'ACTIVE'");
        using var refreshed = await ApiAsync(HttpMethod.Post, $"api/v1/sessions/{session}/schemas/candidate/refresh", null);
        Assert.True(refreshed.IsSuccessStatusCode, _host.Output);

        await HeardAsync(Applicant, "Three tips");
    }

    /// <summary>Says it, and answers what is asked, until the colleague is.</summary>
    private async Task AskAsync(string email)
    {
        foreach (var (say, hear) in new[] { ("apply with my resume", "Which job"), ("J101", "e-mail"), (email, "resume"), ("https://example.com/cv.pdf", "I hold a place for J101") })
        {
            await TextAsync(Applicant, say);
            await HeardAsync(Applicant, hear);
        }
    }

    private async Task AllowAsync()
    {
        var question = await HeardAsync(DemoSeeder.ColleaguesPhone, "Reply APPROVE");
        Assert.Equal((1, 1, 0), await BooksAsync());
        await TextAsync(DemoSeeder.ColleaguesPhone, $"yes {Regex.Match(question, @"APPROVE (\d{6})").Groups[1].Value}");
    }

    private async Task<string> HeardAsync(string number, string part)
    {
        var said = await Eventually.SeeAsync(
            () => _platform.AsAsync(Actor.System(_demo.TenantId), tx => tx.QueryAsync<string>(
                """
                SELECT m.content FROM conversations.messages m JOIN conversations.conversations c ON c.id = m.conversation_id
                WHERE c.participant_identifier = $1 AND m.direction = 'outbound' ORDER BY m.created_at
                """, [number], default)),
            messages => messages.Any(m => m.Contains(part, StringComparison.Ordinal)), seconds: 120);
        Assert.True(said.Any(m => m.Contains(part, StringComparison.Ordinal)), $"No '{part}' among:\n{string.Join("\n---\n", said)}\n{_host.Output}");
        return said.Last(m => m.Contains(part, StringComparison.Ordinal));
    }

    /// <summary>What is held at the board: places, résumés, applications.</summary>
    private async Task<(long Places, long Resumes, long Applications)> BooksAsync() => (
        await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM demo.places WHERE status = 'held'"),
        await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM demo.resumes WHERE status = 'stored'"),
        await _platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM demo.applications WHERE status = 'submitted'"));

    private Task<JsonElement> InstanceAsync(Func<JsonElement, bool> enough) => Eventually.SeeAsync(
        async () =>
        {
            using var answer = await ApiAsync(HttpMethod.Get, "api/v1/workflow-instances", null);
            return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("items").EnumerateArray().Single();
        },
        enough);

    private async Task<HttpResponseMessage> ApiAsync(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _demo.ApiKey);
        return await _host.Client.SendAsync(request);
    }

    private async Task TextAsync(string from, string body)
    {
        var channel = _demo.Channels[DemoChannels.Sms];
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MessageSid"] = $"SM-{++_texts}",
            ["AccountSid"] = channel.AccountSid!,
            ["From"] = from,
            ["To"] = channel.From,
            ["Body"] = body,
            ["NumMedia"] = "0",
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, channel.WebhookUrl) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Add(TwilioSignature.Header, TwilioSignature.Sign(channel.AuthToken!, channel.WebhookUrl, form));
        using var response = await _provider.SendAsync(request);
        Assert.True(response.IsSuccessStatusCode, _host.Output);
    }
}
