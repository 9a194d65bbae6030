using System.Net.Sockets;
using AgentPlatform.LocalHost.Invocation;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>
/// The built app. A start that fails for a reason the operator can mend ends in one line on standard error and exit code 1;
/// anything else is a bug and keeps its stack.
/// </summary>
internal sealed class LocalApplication(WebApplication app, HostJson host, Terminal terminal) : IHost, IAsyncDisposable
{
    private bool _isMade;

    public IServiceProvider Services => app.Services;

    /// <summary>Where it listens, once started.</summary>
    internal string Address => app.Urls.First().Replace("127.0.0.1", "localhost", StringComparison.Ordinal);

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            // Made here first: the generic host cannot stop when it could not make them.
            _ = app.Services.GetServices<IHostedService>();
            _isMade = true;
            await app.StartAsync(cancellationToken);
            StartupTable.Write(terminal.Output, app.Services.GetRequiredService<FunctionCatalog>(), Address, host.RoutePrefix);
        }
        catch (Exception e) when (Explain(e) is { } line)
        {
            await terminal.Errors.WriteLineAsync(line);
            terminal.Exit(1);
            app.Lifetime.StopApplication();
        }
    }

    public Task StopAsync(CancellationToken cancellationToken = default) => _isMade ? app.StopAsync(cancellationToken) : Task.CompletedTask;

    public void Dispose() => ((IDisposable)app).Dispose();

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private static string? Explain(Exception e) => e switch
    {
        SettingException or MigrationException or DatabaseCheckException => e.Message,
        OptionsValidationException options => string.Join(' ', options.Failures),
        PostgresException postgres => $"The database of ConnectionStrings__AgentPlatform refuses: {postgres.MessageText} ({postgres.SqlState}).",
        NpgsqlException { InnerException: SocketException or TimeoutException or null } npgsql =>
            $"The database of ConnectionStrings__AgentPlatform cannot be reached: {npgsql.Message}",
        IOException { InnerException: AddressInUseException } => $"{e.Message.TrimEnd('.')}. Choose another port with --port.",
        _ => null,
    };
}

/// <summary>Where the host speaks to its operator, and the exit code it leaves.</summary>
internal sealed record Terminal(TextWriter Output, TextWriter Errors, Action<int> Exit)
{
    internal static Terminal OfProcess { get; } = new(Console.Out, Console.Error, code => Environment.ExitCode = code);
}
