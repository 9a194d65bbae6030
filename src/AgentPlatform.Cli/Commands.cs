using System.CommandLine;
using System.Globalization;
using System.Net.Sockets;
using AgentPlatform.Postgres;
using Npgsql;
using Spectre.Console;

namespace AgentPlatform.Cli;

/// <summary>What every command shares: errors a person can mend are one line on standard error and exit code 1, bugs keep their stack.</summary>
internal static class Commands
{
    internal static void Run(this Command command, Func<ParseResult, CancellationToken, Task<int>> action) =>
        command.SetAction(async (parsed, ct) =>
        {
            try
            {
                return await action(parsed, ct);
            }
            catch (Exception e) when (Explain(e) is { } line)
            {
                return Fail(line);
            }
        });

    internal static void Say(FormattableString line) => AnsiConsole.Console.MarkupLineInterpolated(CultureInfo.InvariantCulture, line);

    internal static int Fail(string line)
    {
        Console.Error.WriteLine(line);
        return 1;
    }

    private static string? Explain(Exception e) => e switch
    {
        MigrationException or CommandException => e.Message,
        PostgresException postgres => $"The database refuses: {postgres.MessageText} ({postgres.SqlState}).",
        NpgsqlException { InnerException: SocketException or TimeoutException or null } npgsql => $"The database cannot be reached: {npgsql.Message}",
        InvalidOperationException { Message: var message } when message.Contains("ConnectionStrings__AgentPlatform", StringComparison.Ordinal) =>
            $"{message} With ./dev: export ConnectionStrings__AgentPlatform=\"$(./dev db url)\"",
        HttpRequestException { InnerException: SocketException } http => $"The host does not answer ({http.Message}). Start it with ./dev run",
        _ => null,
    };
}

/// <summary>A command cannot go on for a reason its user can mend.</summary>
internal sealed class CommandException(string message) : Exception(message);
