using System.Diagnostics;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace AgentPlatform.Tests.LocalHost;

public sealed class StartTests
{
    [Fact]
    public async Task The_table_of_functions_is_printed_as_Core_Tools_print_it()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Everything)) { HostJson = "{}" });

        var address = app.Client.BaseAddress!.ToString().Replace("127.0.0.1", "localhost").TrimEnd('/');
        Assert.Equal(
            $"""

            Functions:

            	All: {address}/api/All

            	Web: [GET,POST] {address}/api/web/{"{*path}"}

            	Queue: queueTrigger

            	Timer: timerTrigger


            """,
            app.Output.ReplaceLineEndings("\n"));
    }

    [Fact]
    public void Settings_come_from_local_settings_json_below_environment_and_command_line()
    {
        Environment.SetEnvironmentVariable("HOSTTEST__FROM__ENVIRONMENT", "environment");
        var (builder, _) = LocalHostApp.Prepare(
            new()
            {
                LocalSettings = new
                {
                    IsEncrypted = false,
                    Values = new Dictionary<string, object>
                    {
                        ["HOSTTEST__FROM__FILE"] = "file",
                        ["HOSTTEST__FROM__ENVIRONMENT"] = "file",
                        ["HOSTTEST__FROM__LINE"] = "file",
                        ["Number"] = 3,
                    },
                    ConnectionStrings = new { Reports = "Host=reports" },
                    Host = new { LocalHttpPort = 7999 },
                },
                Settings = [("HOSTTEST:FROM:LINE", "line")],
            },
            "Host=nowhere");

        var settings = builder.Configuration;
        Assert.Equal("file", settings["HOSTTEST:FROM:FILE"]);
        Assert.Equal("environment", settings["HOSTTEST:FROM:ENVIRONMENT"]);
        Assert.Equal("line", settings["HOSTTEST:FROM:LINE"]);
        Assert.Equal("3", settings["Number"]);
        Assert.Equal("Host=reports", settings.GetConnectionString("Reports"));
        Assert.Equal("7999", settings["Host:LocalHttpPort"]);
    }

    [Theory]
    [InlineData("", "The setting ConnectionStrings__AgentPlatform is missing")]
    [InlineData("Hst=x", "The setting ConnectionStrings__AgentPlatform is no Postgres connection string")]
    [InlineData("Database=x", "The setting ConnectionStrings__AgentPlatform names no Host")]
    public void A_bad_connection_string_is_one_line(string text, string line)
    {
        var (builder, _) = LocalHostApp.Prepare(new(), text);

        var e = Assert.Throws<SettingException>(() => builder.Build(Quiet));

        Assert.StartsWith(line, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Theory]
    [InlineData("""{ "extensions": { "queues": { "batchSize": 33 } } }""", "host.json: batchSize must be a whole number from 1 to 32, not '33'.")]
    [InlineData("""{ "extensions": { "queues": { "visibilityTimeout": "soon" } } }""", "host.json: visibilityTimeout must be a time")]
    [InlineData("""{ "extensions": { "queues": { "messageEncoding": "utf7" } } }""", "host.json: messageEncoding must be base64 or none")]
    [InlineData("""{ "functionTimeout": "-00:00:01" }""", "host.json: functionTimeout must be a time")]
    [InlineData("""{ "version": """, "")]
    public void A_bad_host_json_is_one_line(string json, string line)
    {
        var (builder, _) = LocalHostApp.Prepare(new() { HostJson = json }, "Host=nowhere");

        var e = Assert.Throws<SettingException>(() => builder.Build(Quiet));

        Assert.StartsWith(line, e.Message);
    }

    [Fact]
    public void Encrypted_local_settings_are_refused()
    {
        var e = Assert.Throws<SettingException>(() => LocalHostApp.Prepare(new() { LocalSettings = new { IsEncrypted = true } }, "Host=nowhere"));

        Assert.Contains("is encrypted", e.Message);
    }

    [Fact]
    public async Task An_unreachable_database_ends_the_start_with_one_line_and_code_1()
    {
        var (builder, _) = LocalHostApp.Prepare(new(), "Host=127.0.0.1;Port=1;Timeout=2");
        var errors = new StringWriter();
        var code = 0;
        await using var app = builder.Build(new Terminal(TextWriter.Null, errors, c => code = c));

        await app.StartAsync();

        Assert.StartsWith("The database of ConnectionStrings__AgentPlatform cannot be reached", errors.ToString());
        Assert.Single(errors.ToString().Trim().Split('\n'));
        Assert.Equal(1, code);
    }

    [Fact]
    public async Task A_process_without_a_connection_string_says_one_line_and_exits_with_1()
    {
        var (code, output, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", ""));

        Assert.Equal(1, code);
        Assert.Equal("The setting ConnectionStrings__AgentPlatform is missing: set it to a Postgres connection string.", errors);
        Assert.Equal("", output);
    }

    [Fact]
    public async Task Outside_of_development_a_process_without_a_key_for_secrets_says_one_line_and_exits_with_1()
    {
        await using var database = await TestDatabase.CreateAsync();

        var (code, _, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", database.ConnectionString), ("AZURE_FUNCTIONS_ENVIRONMENT", "Production"));

        Assert.Equal(1, code);
        Assert.Equal("Channels__EncryptionKeys__0 is missing: 32 bytes in base64 that seal the secrets of channels.", errors);
    }

    [Fact]
    public async Task A_process_over_a_database_whose_migrations_were_changed_says_one_line_and_exits_with_1()
    {
        await using var database = await TestDatabase.CreateAsync();
        Assert.Equal(1L, await database.ScalarAsync<long>("WITH u AS (UPDATE kernel.migrations SET checksum = 'other' WHERE module = 'work' AND version = 1 RETURNING 1) SELECT count(*) FROM u"));

        var (code, _, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", database.ConnectionString));

        Assert.Equal(1, code);
        Assert.Single(errors.Split('\n'));
        Assert.Contains("was changed", errors);
    }

    [Theory]
    [InlineData("no base64!")]
    [InlineData("c2hvcnQ=")]
    public async Task A_process_with_a_malformed_key_for_secrets_says_one_line_without_it_and_exits_with_1(string key)
    {
        await using var database = await TestDatabase.CreateAsync();

        var (code, _, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", database.ConnectionString), ("Channels__EncryptionKeys__0", key));

        Assert.Equal(1, code);
        Assert.Contains("Each of Channels:EncryptionKeys is 32 bytes in base64.", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n'));
        Assert.DoesNotContain(key, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_whose_clock_is_not_the_databases_says_one_line_and_exits_with_1()
    {
        await using var database = await TestDatabase.CreateAsync();
        await database.ScalarAsync<string>(
            """
            DO $do$ BEGIN
                CREATE SCHEMA ahead AUTHORIZATION agentplatform;
                CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() + interval '10 minutes' $$;
                GRANT USAGE ON SCHEMA ahead TO public;
            END $do$;
            SELECT 'made'
            """);

        var (code, _, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", $"{database.ConnectionString};Search Path=ahead,pg_catalog,public"));

        Assert.Equal(1, code);
        Assert.Matches("^This machine's clock is (599|600|601) s behind the database's. Set both by NTP.$", errors);
    }

    [Fact]
    public async Task A_process_whose_key_file_is_broken_says_one_line_and_exits_with_1()
    {
        await using var database = await TestDatabase.CreateAsync();
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "{ \"_master\": ");

        var (code, _, errors) = await RunAsync(("ConnectionStrings__AgentPlatform", database.ConnectionString), ("Host__KeyFile", file));

        File.Delete(file);
        Assert.Equal(1, code);
        Assert.StartsWith($"{file} is not a JSON object of names and keys", errors, StringComparison.Ordinal);
        Assert.Single(errors.Split('\n'));
    }

    private static async Task<(int Code, string Output, string Errors)> RunAsync(params (string Key, string Value)[] settings)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList = { Path.Combine(AppContext.BaseDirectory, "AgentPlatform.Functions.dll"), "--port", "0" },
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            WorkingDirectory = AppContext.BaseDirectory,
        };
        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1), TimeProvider.System);
        await using var late = limit.Token.Register(() => process.Kill(entireProcessTree: true));
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, (await errors).Trim());
    }

    private static readonly Terminal Quiet = new(TextWriter.Null, TextWriter.Null, _ => { });

    public sealed class Everything
    {
        [Function("Web")]
        public string Web([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "web/{*path}")] HttpRequest request) => "";

        [Function("All")]
        public string All([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) => "";

        [Function("Queue")]
        public void Queue([QueueTrigger("some-queue")] string message) => Assert.NotNull(message);

        [Function("Timer")]
        public void Timer([TimerTrigger("0 0 0 1 1 *")] TimerInfo timer) => Assert.NotNull(timer);
    }
}
