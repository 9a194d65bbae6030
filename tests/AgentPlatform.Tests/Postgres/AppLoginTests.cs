using AgentPlatform.Postgres;
using Azure.Core;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Postgres;

public sealed class AppLoginTests : IAsyncLifetime
{
    private readonly string _login = $"app_{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}";
    private readonly Tokens _tokens = new();
    private TestDatabase _database = null!;
    private TestPlatform _owner = null!;

    public async Task InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _owner = TestPlatform.Start(_database, _database.ConnectionString, null);
        await _database.ScalarAsync<object?>($"CREATE ROLE {_login} LOGIN PASSWORD '{_tokens.Token}'");
    }

    public async Task DisposeAsync()
    {
        await _owner.DisposeAsync();
        await using var other = await TestDatabase.CreateEmptyAsync();
        await other.ScalarAsync<object?>($"DROP ROLE {_login}");
    }

    [Fact]
    public async Task The_app_runs_under_a_login_that_owns_nothing_once_it_is_allowed()
    {
        await using var app = StartApp();
        var refused = await Assert.ThrowsAsync<PostgresException>(() => app.ProvisionAsync());
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);

        await _owner.Get<AppLogin>().AllowAsync(_login, entra: false, CancellationToken.None);
        await _owner.Get<AppLogin>().AllowAsync(_login, entra: false, CancellationToken.None);

        Assert.Empty(await app.Get<Migrator>().PendingAsync(CancellationToken.None));
        await app.NewTenantAsync();
        Assert.True(await app.DrainAsync() >= 0);
        Assert.Equal(_login, await _database.ScalarAsync<string>("SELECT usename::text FROM pg_stat_activity WHERE usename = $1 LIMIT 1", _login));
        Assert.Equal(0L, await _database.ScalarAsync<long>("SELECT count(*) FROM pg_class WHERE relowner = $1::regrole", _login));
    }

    [Fact]
    public async Task A_login_by_tokens_asks_for_the_scope_of_Azure_Database_and_needs_no_password()
    {
        await _owner.Get<AppLogin>().AllowAsync(_login, entra: false, CancellationToken.None);
        await using var app = StartApp();

        await app.NewTenantAsync();

        Assert.Equal(["https://ossrdbms-aad.database.windows.net/.default"], _tokens.Scopes.Distinct());
    }

    [Fact]
    public async Task Only_a_login_that_is_there_can_be_allowed()
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => _owner.Get<AppLogin>().AllowAsync("nobody\"; DROP ROLE x", entra: false, CancellationToken.None));
        Assert.Equal(PostgresErrorCodes.UndefinedObject, refused.SqlState);
    }

    [Fact]
    public async Task A_way_to_log_in_that_is_not_known_is_an_error_of_the_settings()
    {
        await using var app = TestPlatform.Start(_database, _database.ConnectionString, null, ("Postgres:Login", "magic"));
        var error = Assert.Throws<InvalidOperationException>(() => app.Get<Database>());
        Assert.Equal("The setting Postgres__Login is 'magic'; it may be 'password' or 'entra'.", error.Message);
    }

    private TestPlatform StartApp()
    {
        var connection = new NpgsqlConnectionStringBuilder(_database.ConnectionString) { Username = _login, Password = null };
        return TestPlatform.Start(_database, connection.ConnectionString, services => services.AddSingleton<TokenCredential>(_tokens), ("Postgres:Login", "entra"));
    }

    /// <summary>An identity whose tokens the test's server takes for the login's password.</summary>
    private sealed class Tokens : TokenCredential
    {
        internal string Token { get; } = Convert.ToHexString(Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToByteArray());

        internal List<string> Scopes { get; } = [];

        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken)
        {
            Scopes.AddRange(requestContext.Scopes);
            return new AccessToken(Token, TimeProvider.System.GetUtcNow().AddHours(1));
        }

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
            new(GetToken(requestContext, cancellationToken));
    }
}
