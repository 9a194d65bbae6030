namespace AgentPlatform.Chaos;

/// <summary>One way of dying. It returns once everything is back, save for what leases still have to find out.</summary>
internal sealed record Kill(string Name, string What, Func<Stage, Task> StrikeAsync);

internal static class Kills
{
    internal static readonly IReadOnlyList<Kill> Seven =
    [
        new("worker", "SIGKILL of a worker; another starts", WorkerAsync),
        new("postgres", "immediate stop of Postgres, restart", PostgresAsync),
        new("both", "SIGKILL of a worker and immediate stop of Postgres within 2 s", BothAsync),
        new("overlap", "a new host joins, both run, the old one gets SIGTERM", OverlapAsync),
        new("pause", "SIGSTOP of a worker for longer than its lease, then SIGCONT", PauseAsync),
        new("wire", "TCP between a worker and the database reset, then silent for longer than the lease", WireAsync),
        new("pooler", "SIGKILL of PgBouncer, restart", PoolerAsync),
    ];

    private static Task WorkerAsync(Stage stage)
    {
        stage.Kill(stage.AnyWorker());
        stage.AddWorker();
        return Task.CompletedTask;
    }

    private static async Task PostgresAsync(Stage stage)
    {
        await stage.Postgres.StopImmediatelyAsync();
        await stage.WaitAsync(0.2, 2);
        await stage.Postgres.StartAsync();
    }

    private static async Task BothAsync(Stage stage)
    {
        stage.Kill(stage.AnyWorker());
        await stage.WaitAsync(0, 1.5);
        await PostgresAsync(stage);
        stage.AddWorker();
    }

    private static async Task OverlapAsync(Stage stage)
    {
        var old = stage.AnyWorker();
        stage.AddWorker();
        await stage.WaitAsync(2, 4);
        await stage.RetireAsync(old);
    }

    private static async Task PauseAsync(Stage stage)
    {
        var worker = stage.AnyWorker();
        worker.Process.Pause();
        await stage.WaitAsync(stage.LongerThanLease);
        worker.Process.Resume();
    }

    private static async Task WireAsync(Stage stage)
    {
        var wire = stage.AnyWorker().Wire;
        wire.Cut();
        await stage.WaitAsync(0.2, 1);
        wire.Silence();
        await stage.WaitAsync(stage.LongerThanLease);
        wire.Restore();
    }

    private static async Task PoolerAsync(Stage stage)
    {
        await stage.Pooler.KillAsync();
        await stage.WaitAsync(0.2, 1);
        await stage.Pooler.StartAsync();
    }
}
