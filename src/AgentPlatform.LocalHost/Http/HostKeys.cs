using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Http;

/// <summary>
/// The keys of authorization levels, as on Azure: a master key, a host key for every function, and one per function that asks for it.
/// The database holds SHA-256 hashes (the keys are 256 random bits); the keys themselves are written once, to a file only the owner reads.
/// </summary>
internal sealed class HostKeys(NpgsqlDataSource source, FunctionCatalog catalog, KeyFile file, ILogger<HostKeys> log)
{
    private const string Host = "host";
    private const string Master = "_master";
    private const string SystemKeys = "system";

    /// <summary>The system key of the orchestrations' endpoints, by its official name.</summary>
    internal const string Durable = "durabletask_extension";

    private Dictionary<string, byte[][]> _hashes = [];
    private byte[][] _master = [];

    /// <summary>Creates the missing keys and loads all; hosts that start together agree on one of each.</summary>
    internal async Task PrepareAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        // In one transaction: of two hosts the second waits at the first key, finds all of them, and writes no file.
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var created = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (scope, name) in Wanted())
        {
            var key = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
            await using var insert = new NpgsqlCommand(Sql.Insert, connection)
            {
                Parameters = { new() { Value = scope }, new() { Value = name }, new() { Value = Hash(key) } },
            };
            if (await insert.ExecuteNonQueryAsync(ct) == 1)
            {
                created[scope is Host or SystemKeys ? name : scope] = key;
            }
        }

        if (created.Count > 0)
        {
            // Before the commit: keys that could not be written down are not made.
            file.Add(created);
            log.KeysCreated(created.Count, file.Path);
        }

        await transaction.CommitAsync(ct);
        await LoadAsync(connection, ct);
    }

    /// <summary>Whether the request presents a key that opens <paramref name="function"/> at this level.</summary>
    internal bool Admits(HttpRequest request, AuthorizationLevel level, string? function)
    {
        if (level == AuthorizationLevel.Anonymous)
        {
            return true;
        }

        var presented = request.Headers["x-functions-key"].ToString() is { Length: > 0 } header ? header : request.Query["code"].ToString();
        if (presented.Length == 0)
        {
            return false;
        }

        var hash = Hash(presented);
        var opens = Matches(_master, hash);
        if (level == AuthorizationLevel.Function)
        {
            opens |= Matches(_hashes.GetValueOrDefault(Host, []), hash);
            opens |= function is not null && Matches(_hashes.GetValueOrDefault(Own(function), []), hash);
        }

        if (level == AuthorizationLevel.System)
        {
            opens |= Matches(_hashes.GetValueOrDefault(SystemKeys, []), hash);
        }

        return opens;
    }

    private IEnumerable<(string Scope, string Name)> Wanted() =>
    [
        (Host, Master),
        (Host, "default"),
        .. catalog.Of<OrchestrationTriggerAttribute>().Take(1).Select(_ => (SystemKeys, Durable)),
        .. catalog.Of<HttpTriggerAttribute>().Where(f => f.Trigger.AuthLevel == AuthorizationLevel.Function).Select(f => (Own(f.Function.Name), "default")),
    ];

    private async Task LoadAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var rows = new List<(string Scope, string Name, byte[] Hash)>();
        await using var select = new NpgsqlCommand(Sql.Select, connection);
        await using var reader = await select.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            rows.Add((reader.GetString(0), reader.GetString(1), reader.GetFieldValue<byte[]>(2)));
        }

        _master = [.. rows.Where(r => r is { Scope: Host, Name: Master }).Select(r => r.Hash)];
        _hashes = rows.Where(r => r.Name != Master).GroupBy(r => r.Scope).ToDictionary(g => g.Key, g => g.Select(r => r.Hash).ToArray());
    }

    private static bool Matches(byte[][] known, byte[] presented)
    {
        var found = false;
        foreach (var hash in known)
        {
            found |= CryptographicOperations.FixedTimeEquals(hash, presented);
        }

        return found;
    }

    private static string Own(string function) => $"function:{function}";

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    private static class Sql
    {
        internal const string Insert = "INSERT INTO localhost.keys (scope, name, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

        internal const string Select = "SELECT scope, name, hash FROM localhost.keys";
    }
}

/// <summary>Where new keys are written: a JSON object of key name to key, readable by its owner only.</summary>
internal sealed record KeyFile(string Path)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>A key that was created here, or null.</summary>
    internal string? Find(string name) => Read().GetValueOrDefault(name);

    internal void Add(IReadOnlyDictionary<string, string> created)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!);
        var all = Read();
        foreach (var (name, key) in created)
        {
            all[name] = key;
        }

        // The mode is set as the file is created: a later chmod would leave a moment in which others can read it.
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var whole = $"{Path}.{Environment.ProcessId}";
        using (var stream = new FileStream(whole, options))
        {
            JsonSerializer.Serialize(stream, all, Indented);
        }

        File.Move(whole, Path, overwrite: true);
    }

    private Dictionary<string, string> Read()
    {
        try
        {
            return File.Exists(Path) ? JsonSerializer.Deserialize<Dictionary<string, string>>(File.ReadAllText(Path)) ?? [] : [];
        }
        catch (JsonException)
        {
            throw new SettingException($"{Path} is not a JSON object of names and keys: mend it, or move it away; lost keys are replaced when their rows in localhost.keys are deleted.");
        }
    }
}
