using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Contacts.Privacy;

public sealed class ErasureTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await Person.StageAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Nothing_of_an_erased_contact_is_left_in_any_table_nor_of_what_it_was_merged_with_and_another_tenants_same_person_is_untouched()
    {
        var stranger = await _api.Platform.ProvisionAsync("Other");
        await Person.MeetAsync(_api, stranger);
        var person = await Person.MeetAsync(_api);
        var before = await Person.TracesAsync(_api, _api.Tenant.TenantId);
        foreach (var table in new[]
        {
            "contacts.customer_profiles", "contacts.profile_fields", "contacts.profile_assets", "contacts.channel_identities", "contacts.user_priorities", "conversations.messages",
            "conversations.turn_records", "events.events", "events.archived_events", "audit.audit_logs", "channels.inbound_messages", "channels.inbound_attachments", "channels.webhook_logs",
            "channels.outbound_messages", "models.agent_actions_log", "credits.credit_events", "schedules.agent_tasks", "schedules.archived_agent_tasks", "actions.action_queue",
        })
        {
            Assert.True(before.ContainsKey(table) || table is "channels.inbound_attachments" or "actions.action_queue", table);
        }

        var untouched = await Person.PrintAsync(_api, stranger.TenantId);

        var accepted = await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.MergedId}");
        Assert.Equal((202, "accepted"), (accepted.Status, accepted.Json.GetProperty("status").GetString()));
        await _api.Platform.DrainWithEventsAsync();

        var erasure = (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json;
        Assert.Equal("completed", erasure.GetProperty("status").GetString());
        Assert.True(erasure.GetProperty("rows_erased").GetProperty("conversations.messages").GetInt64() >= 3);
        Assert.True(erasure.GetProperty("rows_erased").GetProperty("actions.action_queue").GetInt64() >= 1);
        Assert.Empty(await Person.TracesAsync(_api, _api.Tenant.TenantId));
        Assert.Equal(untouched, await Person.PrintAsync(_api, stranger.TenantId));
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/contacts/{person.Id}")).Status);
        Assert.Equal(404, (await _api.GetAsync($"/api/v1/contacts/{person.MergedId}")).Status);
        Assert.Equal(0L, await CountAsync("SELECT count(*) FROM schedules.agent_tasks WHERE tenant_id = $1"));
        Assert.Equal(0L, await CountAsync("SELECT count(*) FROM work.items WHERE tenant_id = $1 AND kind = 'schedules.task'"));
    }

    [Fact]
    public async Task A_profile_that_was_filled_again_after_the_request_is_emptied_again()
    {
        var person = await Person.MeetAsync(_api);
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}");
        await _api.Platform.Postgres.ScalarAsync<Guid>(
            "UPDATE contacts.customer_profiles SET phone_number = $2, company = $3, verified = true WHERE id = $1 RETURNING id", person.Id, Person.Number, Person.Secret);

        await _api.Platform.DrainWithEventsAsync();

        Assert.Equal("completed", (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json.GetProperty("status").GetString());
        Assert.Empty(await Person.TracesAsync(_api, _api.Tenant.TenantId));
    }

    [Fact]
    public async Task Ledgers_and_the_log_of_changes_stay_without_a_word_of_the_person()
    {
        var person = await Person.MeetAsync(_api);
        var changes = await CountAsync("SELECT count(*) FROM audit.audit_logs WHERE tenant_id = $1 AND entity_type LIKE 'contacts.%'");

        await EraseAsync(person);

        Assert.Equal(25L, await CountAsync("SELECT sum(amount) FROM credits.credit_events WHERE tenant_id = $1 AND description IS NULL"));
        Assert.Equal(15L, await CountAsync("SELECT sum(total_tokens)::bigint FROM costs.api_token_usage WHERE tenant_id = $1"));
        Assert.Equal(changes, await CountAsync("SELECT count(*) FROM audit.audit_logs WHERE tenant_id = $1 AND entity_type LIKE 'contacts.%'"));
        Assert.Equal(1L, await CountAsync("SELECT count(*) FROM events.events WHERE tenant_id = $1 AND event_type = 'contact.erased' AND aggregate_type = 'contact'"));
        var logged = (await _api.GetAsync("/api/v1/security-audit-log?action=contact.erase")).Json.GetProperty("items")[0];
        Assert.Equal((true, person.Id.ToString(), _api.Tenant.OwnerId), (logged.GetProperty("success").GetBoolean(), logged.GetProperty("resource_id").GetString(), logged.GetProperty("user_id").GetGuid()));
    }

    [Fact]
    public async Task An_erased_opt_out_holds_when_the_number_comes_back_and_other_numbers_are_free()
    {
        var person = await Person.MeetAsync(_api);
        var erasure = (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}")).Json;
        Assert.Equal(["sms"], erasure.GetProperty("opt_outs_kept").EnumerateArray().Select(c => c.GetString()));
        Assert.Equal(1L, await CountAsync("SELECT count(*) FROM contacts.suppressed_addresses WHERE tenant_id = $1 AND address_hash NOT LIKE '%4155550177%'"));

        // At once: nobody waits for the rest.
        var back = await GetOrCreateAsync(Person.Number);

        Assert.NotEqual(person.Id, back);
        Assert.True(await IsOptedOutAsync(back, "sms"));
        Assert.Equal(0L, await CountAsync("SELECT count(*) FROM contacts.suppressed_addresses WHERE tenant_id = $1"));
        Assert.False(await IsOptedOutAsync(await GetOrCreateAsync("+14155550178"), "sms"));
        await _api.Platform.DrainAsync();
        Assert.True(await IsOptedOutAsync(back, "sms"));

        // Who is erased a second time is still left alone.
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{back}");
        await _api.Platform.DrainAsync();
        Assert.True(await IsOptedOutAsync(await GetOrCreateAsync(Person.Number), "sms"));
    }

    [Fact]
    public async Task Only_owners_and_admins_erase_and_export_and_only_what_is_theirs()
    {
        var person = await Person.MeetAsync(_api);
        var stranger = await _api.Platform.ProvisionAsync("Other");
        var (member, admin, reader) = (await _api.KeyAsync("member"), await _api.KeyAsync("admin"), await _api.KeyAsync("admin", "contacts:read"));
        var path = $"/api/v1/contacts/{person.Id}";

        foreach (var (method, url) in new[] { (HttpMethod.Delete, path), (HttpMethod.Get, $"{path}/export") })
        {
            var refused = await _api.SendAsync(method, url, key: member);
            Assert.Equal((403, "managers_only"), (refused.Status, refused.Json.GetProperty("code").GetString()));
            Assert.Equal(404, (await _api.SendAsync(method, url, key: stranger.ApiKey)).Status);
        }

        Assert.Equal(403, (await _api.SendAsync(HttpMethod.Delete, path, key: reader)).Status);
        Assert.Equal(404, (await _api.GetAsync($"{path}/erasure")).Status);
        Assert.Equal(202, (await _api.SendAsync(HttpMethod.Delete, path, key: admin)).Status);
        Assert.Equal(404, (await _api.GetAsync($"{path}/erasure", stranger.ApiKey)).Status);
        Assert.Empty((await _api.GetAsync("/api/v1/erasures", stranger.ApiKey)).Json.GetProperty("items").EnumerateArray());
        Assert.Single((await _api.GetAsync("/api/v1/erasures?status=accepted")).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(400, (await _api.GetAsync("/api/v1/erasures?status=nearly")).Status);
    }

    [Fact]
    public async Task A_second_request_answers_with_the_first_and_an_erased_contact_can_neither_be_changed_nor_merged()
    {
        var person = await Person.MeetAsync(_api);
        var first = await EraseAsync(person);

        var second = await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}");

        Assert.Equal((202, "completed", first), (second.Status, second.Json.GetProperty("status").GetString(), second.Json.GetProperty("id").GetGuid()));
        var other = (await _api.PostAsync("/api/v1/contacts", new { first_name = "Bo" })).Json.GetProperty("id").GetGuid();
        Assert.Equal(404, (await _api.SendAsync(HttpMethod.Patch, $"/api/v1/contacts/{person.Id}", new { first_name = "X" })).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/contacts/{other}/merge", new { into_id = person.Id })).Status);
        Assert.Equal(404, (await _api.PostAsync($"/api/v1/contacts/{person.Id}/merge", new { into_id = other })).Status);
        Assert.Single((await _api.GetAsync("/api/v1/contacts")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task A_module_that_fails_leaves_the_erasure_to_be_gone_on_with_and_nothing_says_that_it_is_done()
    {
        await _api.DisposeAsync();
        // The first of all, so the last whose turn comes.
        _api = await Person.StageAsync(services => services.Insert(0, ServiceDescriptor.Singleton<IKeepsPersonalData, Broken>()));
        var person = await Person.MeetAsync(_api);
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}");
        await _api.Platform.Postgres.ScalarAsync<int>("UPDATE work.items SET max_attempts = 1 WHERE kind = 'contacts.erase' RETURNING 1");
        await _api.Platform.DrainAsync();

        var failed = (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json;
        Assert.Equal("failed", failed.GetProperty("status").GetString());
        Assert.Contains("broken", failed.GetProperty("error").GetString());
        Assert.Equal(JsonValueKind.Null, failed.GetProperty("completed_at").ValueKind);
        Assert.Equal(0L, await CountAsync("SELECT count(*) FROM events.events WHERE tenant_id = $1 AND event_type = 'contact.erased'"));
        var erased = failed.GetProperty("rows_erased").GetProperty("conversations.messages").GetInt64();

        await _api.Platform.Postgres.ScalarAsync<object?>("CREATE TABLE public.broken (id uuid); GRANT SELECT ON public.broken TO agentplatform_app");
        Assert.Equal(202, (await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}")).Status);
        await _api.Platform.DrainAsync();

        var done = (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json;
        Assert.Equal(("completed", erased), (done.GetProperty("status").GetString(), done.GetProperty("rows_erased").GetProperty("conversations.messages").GetInt64()));
        Assert.Empty(await Person.TracesAsync(_api, _api.Tenant.TenantId));
    }

    [Fact]
    public async Task What_a_turn_under_way_still_wrote_is_found_when_it_is_over()
    {
        await _api.DisposeAsync();
        _api = await Person.StageAsync(settleMinutes: 20);
        var person = await Person.MeetAsync(_api);
        await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}");
        await _api.Platform.DrainAsync();
        Assert.Equal("settling", (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json.GetProperty("status").GetString());
        await _api.Platform.Postgres.ScalarAsync<Guid>(
            """
            INSERT INTO schedules.agent_tasks (tenant_id, id, task_type, agent_type, contact_id, scheduled_for, context_json)
            VALUES ($1, gen_random_uuid(), 'note', 'bouncer', $2, now() + interval '1 day', '{"note": "zanzibar7391"}') RETURNING id
            """, _api.Tenant.TenantId, person.Id);
        Assert.NotEmpty(await Person.TracesAsync(_api, _api.Tenant.TenantId));

        await _api.Platform.Postgres.ScalarAsync<int>("UPDATE work.items SET run_at = now() WHERE kind = 'contacts.erase' RETURNING 1");
        await _api.Platform.Postgres.ScalarAsync<int>("UPDATE contacts.erasures SET settling_from = now() - interval '20 minutes' RETURNING 1");
        await _api.Platform.DrainAsync();

        Assert.Equal("completed", (await _api.GetAsync($"/api/v1/contacts/{person.Id}/erasure")).Json.GetProperty("status").GetString());
        Assert.Empty(await Person.TracesAsync(_api, _api.Tenant.TenantId));
    }

    [Fact]
    public async Task Logs_and_ledgers_go_on_refusing_everybody_but_an_erasure_and_that_sees_one_tenant()
    {
        var person = await Person.MeetAsync(_api);
        var stranger = await _api.Platform.ProvisionAsync("Other");
        const string delete = "DELETE FROM conversations.turn_records";

        var asApp = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => tx.ExecuteAsync(delete, [], default)));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, asApp.SqlState);
        var asAdmin = await Assert.ThrowsAsync<PostgresException>(() => _api.Platform.Postgres.ScalarAsync<object?>(delete));
        Assert.Equal(PostgresErrorCodes.RestrictViolation, asAdmin.SqlState);

        await using (var other = _api.Platform.Database.BeginErasure(stranger.TenantId))
        {
            Assert.Equal(0, await other.ExecuteAsync(delete, [], default));
        }

        await using var own = _api.Platform.Database.BeginErasure(_api.Tenant.TenantId);
        Assert.True(await own.ExecuteAsync("DELETE FROM conversations.audit_events", [], default) >= 0);
        Assert.True(await own.ExecuteAsync(delete, [], default) > 0);
        Assert.NotEqual(Guid.Empty, person.Id);
    }

    private async Task<Guid> EraseAsync(Person person)
    {
        var accepted = await _api.SendAsync(HttpMethod.Delete, $"/api/v1/contacts/{person.Id}");
        Assert.Equal(202, accepted.Status);
        await _api.Platform.DrainWithEventsAsync();
        return accepted.Json.GetProperty("id").GetGuid();
    }

    private Task<long> CountAsync(string sql) => _api.Platform.Postgres.ScalarAsync<long>(sql, _api.Tenant.TenantId);

    private Task<Guid> GetOrCreateAsync(string number) => _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), async tx =>
        (await _api.Platform.Get<ContactDirectory>().GetOrCreateAsync(tx, new ChannelAddress("sms", number), null, default)).Id);

    private Task<bool> IsOptedOutAsync(Guid contact, string channel) =>
        _api.Platform.AsAsync(Actor.System(_api.Tenant.TenantId), tx => _api.Platform.Get<ContactDirectory>().IsOptedOutAsync(tx, contact, channel, default));

    private sealed class Broken : IKeepsPersonalData
    {
        public IReadOnlyList<Kept> Kept { get; } =
            [new("public.broken", "SELECT '{}' WHERE $1::uuid[] IS NULL OFFSET $2 LIMIT $3", "SELECT id FROM public.broken WHERE id = ANY ($1) LIMIT $2")];
    }
}
