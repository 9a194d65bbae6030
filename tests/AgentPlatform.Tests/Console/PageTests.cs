using System.Net;

namespace AgentPlatform.Tests.Console;

/// <summary>What holds for every page.</summary>
[Collection("Console")]
public sealed partial class PageTests(ConsoleSite site)
{
    [Theory]
    [InlineData("/console/sign-in", HttpStatusCode.OK)]
    [InlineData("/console", HttpStatusCode.Redirect)]
    [InlineData("/console/no/such/page", HttpStatusCode.NotFound)]
    [InlineData("/simulator/not-an-id", HttpStatusCode.NotFound)]
    public async Task Every_answer_forbids_foreign_code_frames_and_guesses(string path, HttpStatusCode status)
    {
        using var client = site.Client();
        using var answer = await client.GetAsync(path);
        Assert.Equal(status, answer.StatusCode);
        var policy = Assert.Single(answer.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("script-src 'self';", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("DENY", Assert.Single(answer.Headers.GetValues("X-Frame-Options")));
        Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        Assert.True(answer.Headers.CacheControl!.NoStore);
    }

    [Fact]
    public async Task Styles_and_script_are_kept_for_a_year_under_the_hash_of_their_content()
    {
        using var client = site.Client();
        var html = await client.Http.GetStringAsync(new Uri("/console/sign-in", UriKind.Relative));
        var paths = Asset().Matches(html).Select(m => m.Value).Distinct().ToList();
        Assert.Equal(3, paths.Count);
        foreach (var path in paths)
        {
            using var asset = await client.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, asset.StatusCode);
            Assert.Equal("public, max-age=31536000, immutable", Assert.Single(asset.Headers.NonValidated["Cache-Control"]));
            using var again = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { IfNoneMatch = { asset.Headers.ETag! } } };
            using var unchanged = await client.Http.SendAsync(again);
            Assert.Equal(HttpStatusCode.NotModified, unchanged.StatusCode);
            using var other = await client.GetAsync(path.Replace(".css", "0.css", StringComparison.Ordinal).Replace(".js", "0.js", StringComparison.Ordinal).Replace(".svg", "0.svg", StringComparison.Ordinal));
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
        }
    }

    [Fact]
    public async Task A_form_that_is_too_long_or_none_is_refused()
    {
        var tenant = await site.TenantAsync();
        using var client = await site.SignedInAsync(tenant.ApiKey);
        using var tooLong = await client.SubmitAsync("/simulator", "/simulator", ("agent", $"{tenant.AgentId}"), ("text", new string('x', 70_000)));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, tooLong.StatusCode);
        using var json = new StringContent("{}", System.Text.Encoding.UTF8, "application/json");
        using var noForm = await client.Http.PostAsync(new Uri("/simulator", UriKind.Relative), json);
        Assert.Equal(HttpStatusCode.BadRequest, noForm.StatusCode);
    }

    [System.Text.RegularExpressions.GeneratedRegex("/console/assets/[a-z]+\\.[0-9a-f]+\\.(css|js|svg)")]
    private static partial System.Text.RegularExpressions.Regex Asset();
}
