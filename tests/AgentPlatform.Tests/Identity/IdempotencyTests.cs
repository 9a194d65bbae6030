using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Api;

namespace AgentPlatform.Tests.Identity;

public sealed class IdempotencyTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await TestApi.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task The_same_request_with_the_same_key_is_carried_out_once_and_answered_alike()
    {
        var first = await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k1");
        var second = await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k1");

        Assert.Equal((201, 201), (first.Status, second.Status));
        Assert.Equal(first.Body, second.Body);
        Assert.Equal((first.Header("Location"), first.Header("ETag")), (second.Header("Location"), second.Header("ETag")));
        Assert.Equal((null, "true"), (first.Header("Idempotent-Replayed"), second.Header("Idempotent-Replayed")));
        Assert.Equal(409, (await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k2")).Status);
    }

    [Fact]
    public async Task The_same_key_with_another_request_is_a_422()
    {
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k");

        var otherBody = await _api.PostAsync("/api/v1/agents", new { name = "Bob" }, idempotencyKey: "k");
        var otherPath = await _api.PostAsync("/api/v1/members", new { name = "Ada" }, idempotencyKey: "k");

        Assert.Equal((422, "idempotency_key_reused"), (otherBody.Status, otherBody.Code));
        Assert.Equal(422, otherPath.Status);
    }

    [Fact]
    public async Task What_a_request_said_cannot_be_guessed_from_what_is_remembered_of_it()
    {
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k");

        var plain = SHA256.HashData(Encoding.UTF8.GetBytes($"POST /api/v1/agents\n{Json.Text(new { name = "Ada" })}"));
        Assert.Equal((1L, 0L), (await RememberedAsync("\\x"), await RememberedAsync(Convert.ToHexStringLower(plain))));
    }

    [Fact]
    [Behaviour("brain-request-dedup")]
    public async Task Concurrent_repetitions_are_carried_out_once_and_all_get_the_one_answer()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k")));

        Assert.All(answers, answer => Assert.Equal((201, answers[0].Body), (answer.Status, answer.Body)));
        Assert.Single(answers, answer => answer.Header("Idempotent-Replayed") is null);
        Assert.Equal(1L, await _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM tenancy.agents WHERE name = 'Ada'"));
    }

    [Fact]
    public async Task A_repetition_waits_in_vain_for_a_process_that_died_and_takes_over_after_its_lease()
    {
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k");
        await _api.Platform.Postgres.ScalarAsync<object>(
            "UPDATE identity.idempotency_keys SET completed_at = NULL, response = NULL, status_code = NULL RETURNING 1::text");
        await _api.Platform.Postgres.ScalarAsync<object>("DELETE FROM tenancy.agents WHERE name = 'Ada' RETURNING 1::text");

        Assert.Equal("idempotency_in_progress", (await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k")).Code);
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.idempotency_keys SET locked_until = now() - interval '1 s' RETURNING 1::text");

        Assert.Equal(201, (await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k")).Status);
    }

    [Fact]
    public async Task An_answer_that_holds_a_secret_is_repeated_but_not_readable_in_the_database()
    {
        var first = await _api.PostAsync("/api/v1/keys", new { name = "CI" }, idempotencyKey: "k");
        var second = await _api.PostAsync("/api/v1/keys", new { name = "CI" }, idempotencyKey: "k");

        var secret = first.Json.GetProperty("secret").GetString()!;
        Assert.Equal(secret, second.Json.GetProperty("secret").GetString());
        var stored = await _api.Platform.Postgres.ScalarAsync<byte[]>("SELECT response FROM identity.idempotency_keys");
        Assert.DoesNotContain(secret, System.Text.Encoding.Latin1.GetString(stored), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_of_one_API_key_are_not_those_of_another()
    {
        var other = await _api.KeyAsync("member");
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "k");

        Assert.Equal(201, (await _api.PostAsync("/api/v1/agents", new { name = "Bob" }, other, idempotencyKey: "k")).Status);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(256)]
    public async Task A_key_that_is_empty_or_too_long_is_a_400(int length) =>
        Assert.Equal("invalid_idempotency_key", (await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: new string('k', length))).Code);

    [Fact]
    public async Task Answers_are_forgotten_after_a_day()
    {
        await _api.PostAsync("/api/v1/agents", new { name = "Ada" }, idempotencyKey: "old");
        await _api.PostAsync("/api/v1/agents", new { name = "Bob" }, idempotencyKey: "new");
        await _api.Platform.Postgres.ScalarAsync<object>("UPDATE identity.idempotency_keys SET expires_at = now() - interval '1 s' WHERE key = 'old' RETURNING 1::text");

        await _api.Platform.Get<IdentityRetention>().PruneAsync(CancellationToken.None);

        Assert.Equal("new", await _api.Platform.Postgres.ScalarAsync<string>("SELECT key FROM identity.idempotency_keys"));
    }

    private Task<long> RememberedAsync(string hash) =>
        _api.Platform.Postgres.ScalarAsync<long>("SELECT count(*) FROM identity.idempotency_keys WHERE strpos(request_hash::text, $1) > 0", hash);
}
