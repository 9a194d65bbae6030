using System.Net;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.EndToEnd;
using Microsoft.Playwright;

namespace AgentPlatform.Tests.Console;

/// <summary>The real host with its pages, and a real browser: shared by the tests of this folder. A missing browser fails.</summary>
public sealed class ConsoleSite : IAsyncLifetime
{
    /// <summary>Milliseconds that a busy machine may take to show something.</summary>
    private const int Patience = 60_000;

    private HostProcess _host = null!;
    private IPlaywright _playwright = null!;

    internal TestPlatform Platform { get; private set; } = null!;

    internal IBrowser Browser { get; private set; } = null!;

    internal Uri Address => _host.Client.BaseAddress!;

    internal string HostOutput => _host.Output;

    public async Task InitializeAsync()
    {
        Platform = await TestPlatform.StartAsync();
        _host = await HostProcess.StartAsync(Platform.Postgres.ConnectionString, ("Models__AllowPrivateTargets", "true"));
        _playwright = await Playwright.CreateAsync();
        Assertions.SetDefaultExpectTimeout(Patience);
        Browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Environment.GetEnvironmentVariable("AGENTPLATFORM_CHROMIUM") ?? "/usr/bin/chromium",
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
    }

    public async Task DisposeAsync()
    {
        await Browser.DisposeAsync();
        _playwright.Dispose();
        await _host.DisposeAsync();
        await Platform.DisposeAsync();
    }

    internal Task<HostProcess> AnotherHostAsync(params (string Key, string Value)[] settings) => HostProcess.StartAsync(Platform.Postgres.ConnectionString, settings);

    internal Task<ProvisionedTenant> TenantAsync(string name = "Acme") => Platform.ProvisionAsync(name);

    /// <summary>A client that keeps cookies and follows nothing, as a test has to see each answer.</summary>
    internal FormClient Client(Uri? address = null) => new(address ?? Address);

    internal async Task<FormClient> SignedInAsync(string key)
    {
        var client = Client();
        using var answer = await client.SubmitAsync("/console/sign-in", "/console/sign-in", ("key", key));
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        return client;
    }

    /// <summary>A page of a browser of its own, signed in through the form.</summary>
    internal async Task<IPage> OpenAsync(string key, string path, BrowserNewContextOptions? options = null)
    {
        var context = await Browser.NewContextAsync(options ?? new() { ViewportSize = new() { Width = 1360, Height = 860 } });
        context.SetDefaultTimeout(Patience);
        var page = await context.NewPageAsync();
        await page.GotoAsync(new Uri(Address, path).ToString());
        await page.FillAsync("#key", key);
        await page.ClickAsync("#with-key button[type=submit]");
        // Not for any state of loading: it may be reached before the wait begins, and the page's stream never ends.
        await Assertions.Expect(page).ToHaveURLAsync(new Uri(Address, path).ToString(), new() { Timeout = Patience });
        return page;
    }

    internal static Guid NewId() => TimeProvider.System.NewId();
}

[CollectionDefinition("Console")]
public sealed class ConsoleCollection : ICollectionFixture<ConsoleSite>;

/// <summary>Submits forms as a browser without script does: with the token of the page that shows them.</summary>
internal sealed partial class FormClient(Uri address) : IDisposable
{
    private readonly HttpClientHandler _handler = new() { AllowAutoRedirect = false };
    private HttpClient? _http;

    internal HttpClient Http => _http ??= new HttpClient(_handler) { BaseAddress = address };

    internal CookieContainer Cookies => _handler.CookieContainer;

    internal async Task<HttpResponseMessage> SubmitAsync(string page, string action, params (string Name, string Value)[] fields) =>
        await PostAsync(action, [("form_token", await TokenAsync(page)), .. fields]);

    internal async Task<string> TokenAsync(string page)
    {
        var html = await Http.GetStringAsync(new Uri(page, UriKind.Relative));
        return Token().Match(html) is { Success: true } found ? WebUtility.HtmlDecode(found.Groups["token"].Value) : throw new InvalidOperationException($"{page} has no form:\n{html}");
    }

    internal async Task<HttpResponseMessage> PostAsync(string action, params (string Name, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));
        return await Http.PostAsync(new Uri(action, UriKind.Relative), form);
    }

    internal Task<HttpResponseMessage> GetAsync(string path) => Http.GetAsync(new Uri(path, UriKind.Relative));

    public void Dispose()
    {
        _http?.Dispose();
        _handler.Dispose();
    }

    [GeneratedRegex("name=\"form_token\" value=\"(?<token>[^\"]+)\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Token();
}
