using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Audit;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Sandbox;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Identity;

/// <summary>A clock that a test can put forward; between that it goes on.</summary>
public sealed class ShiftedClock : TimeProvider
{
    public TimeSpan By { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + By;
}

/// <summary>The API with a mail server, and people who set their passwords by the links in its mails.</summary>
public sealed partial class LoginStage : IAsyncDisposable
{
    public const string Password = "correct horse battery";

    private readonly FakeSmtp _smtp;

    private LoginStage(TestApi api, FakeSmtp smtp, ShiftedClock clock)
    {
        Api = api;
        _smtp = smtp;
        Clock = clock;
    }

    public TestApi Api { get; }

    public ShiftedClock Clock { get; }

    public IEnumerable<FakeMail> Mails => _smtp.Mails;

    /// <summary>The mail server takes the next mail for nobody.</summary>
    public void RefuseMail() => _smtp.Refusal = ("RCPT", "451 try again later");

    public static async Task<LoginStage> StartAsync(params (string Key, string Value)[] settings)
    {
        var (smtp, clock) = (new FakeSmtp(), new ShiftedClock());
        var api = await TestApi.StartAsync(
            services => services.AddSingleton<TimeProvider>(clock),
            [
                ("Channels:Email:Smtp", smtp.Address), ("Channels:Email:From", "no-reply@platform.example"), ("PublicBaseUrl", "https://agents.example"), ("Identity:BcryptCost", "10"),
                ("Api:TrustedProxies:0", "127.0.0.0/8"), .. settings,
            ]);
        return new LoginStage(api, smtp, clock);
    }

    /// <summary>A member with a password, invited and set by the link of the mail.</summary>
    public async Task<Person> PersonAsync(string role = "member", string? password = Password)
    {
        var email = $"{TimeProvider.System.GetTimestamp()}-{role}@example.test";
        var added = await Api.PostAsync("/api/v1/members", new { email, role, invite = true });
        Assert.True(added.Status == 201, added.Body);
        var member = added.Json;
        await Api.Platform.DrainAsync();
        if (password is not null)
        {
            Assert.Equal(204, (await CompleteAsync(TokenFor(email), password)).Status);
        }

        return new Person(member.GetProperty("user_id").GetGuid(), member.GetProperty("id").GetGuid(), email);
    }

    public Task<ApiAnswer> LogInAsync(string email, string password = Password, string? tenant = null, string from = "203.0.113.7") =>
        Api.SendAsync(HttpMethod.Post, "/api/v1/auth/login", new { email, password, tenant }, key: "", ("X-Forwarded-For", from), ("User-Agent", "browser/1.0"));

    public async Task<JsonElement> SessionAsync(string email, string password = Password)
    {
        var answer = await LogInAsync(email, password);
        Assert.Equal(200, answer.Status);
        return answer.Json.GetProperty("session");
    }

    public Task<ApiAnswer> RefreshAsync(string token) => Api.PostAsync("/api/v1/auth/refresh", new { refresh_token = token }, key: "");

    public Task<ApiAnswer> AskAsync(string email) => Api.PostAsync("/api/v1/auth/password-resets", new { email }, key: "");

    public Task<ApiAnswer> CompleteAsync(string token, string password) =>
        Api.PostAsync("/api/v1/auth/password-resets/complete", new { token, password }, key: "");

    /// <summary>The token of the newest mail to an address.</summary>
    public string TokenFor(string email) => Link().Match(_smtp.Mails.Last(m => m.To == email).Text).Groups["token"].Value;

    public async Task<string> ResetTokenAsync(string email)
    {
        // Within a minute a link is asked for once.
        Clock.By += TimeSpan.FromMinutes(1);
        await AskAsync(email);
        await Api.Platform.DrainAsync();
        return TokenFor(email);
    }

    public async Task<IReadOnlyList<JsonElement>> AttemptsAsync(string query = "") =>
        [.. (await Api.GetAsync($"/api/v1/auth/login-attempts{query}")).Json.GetProperty("items").EnumerateArray()];

    public async Task<IReadOnlyList<JsonElement>> ThreatsAsync()
    {
        await Api.Platform.Get<ThreatLog>().FlushAsync(default);
        return [.. (await Api.GetAsync("/api/v1/security-events")).Json.GetProperty("items").EnumerateArray()];
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        await _smtp.DisposeAsync();
    }

    [GeneratedRegex("https://agents\\.example/console/password/(?<token>[0-9a-f]{64})\\s", RegexOptions.ExplicitCapture)]
    private static partial Regex Link();
}

public sealed record Person(Guid UserId, Guid MemberId, string Email);
