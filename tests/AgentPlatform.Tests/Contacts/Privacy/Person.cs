using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.Api;
using AgentPlatform.Tests.Brain;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Contacts.Privacy;

/// <summary>
/// A contact with a name, a number, a mail address and a secret that are nobody else's, who was met twice, wrote, had things done, was charged, and has more to
/// come: rows in all that keeps of contacts. What the API does not make is written by the superuser.
/// </summary>
internal sealed class Person
{
    internal const string Secret = "zanzibar7391";
    internal const string Name = "Quentinella";
    internal const string Mail = "quentinella@people.example";
    internal const string Number = "+14155550177";

    internal static readonly string[] Marks = [Secret, Name, Mail, Number];

    private Person(Guid id, Guid mergedId, Guid conversationId) => (Id, MergedId, ConversationId) = (id, mergedId, conversationId);

    internal Guid Id { get; }

    /// <summary>As whom the person was met on the web; merged since.</summary>
    internal Guid MergedId { get; }

    internal Guid ConversationId { get; }

    internal static async Task<TestApi> StageAsync(Action<IServiceCollection>? configure = null, int settleMinutes = 0) =>
        await TestApi.StartAsync(configure, ("Contacts:ErasureSettleMinutes", $"{settleMinutes}"));

    internal static async Task<Person> MeetAsync(TestApi api, ProvisionedTenant? tenant = null)
    {
        var (at, key) = (tenant ?? api.Tenant, (tenant ?? api.Tenant).ApiKey);
        var made = await api.PostAsync("/api/v1/contacts", new { phone_number = Number, email = Mail, first_name = Name, external_id = $"crm-{Secret}" }, key);
        Assert.Equal(201, made.Status);
        var id = made.Json.GetProperty("id").GetGuid();
        var path = $"/api/v1/contacts/{id}";
        await api.SendAsync(HttpMethod.Patch, path, new { company = $"{Secret} Ltd" }, key);
        await api.SendAsync(HttpMethod.Put, $"{path}/fields/city", new { value = Secret, source = "USER_PROVIDED" }, key);
        await api.PostAsync($"{path}/identities", new { channel = "sms", address = Number, verified = true }, key);
        await api.PostAsync($"{path}/identities", new { channel = "email", address = Mail, verified = true }, key);
        var asset = await api.PostAsync($"{path}/assets", new { asset_type = "cv", asset_reference = $"https://files.example/{Secret}.pdf" }, key);
        var gone = (await api.GetAsync($"{path}/assets", key)).Json.GetProperty("items")[0].GetProperty("id").GetGuid();
        Assert.Equal(201, asset.Status);
        await api.SendAsync(HttpMethod.Delete, $"{path}/assets/{gone}", key: key);
        await api.PostAsync($"{path}/assets", new { asset_type = "photo", asset_reference = $"https://files.example/{Secret}.jpg" }, key);
        await api.PostAsync($"{path}/consents", new { channel = "sms", opted_out = true }, key);
        await api.PostAsync($"{path}/priorities", new { priority_rank = 1, item_type = "solution_update", item_id = id, title = Secret }, key);
        Assert.Equal(201, (await api.PostAsync("/api/v1/tasks", new { task_type = "summarize_conversation", agent_type = "bouncer", contact_id = id, scheduled_for = TimeProvider.System.GetUtcNow().AddDays(3), context = new { note = Secret } }, key)).Status);

        var (conversation, merged) = await TalkAsync(api, at);
        await WriteRestAsync(api, at, id, conversation);
        Assert.Equal(200, (await api.PostAsync($"/api/v1/contacts/{merged}/merge", new { into_id = id }, key)).Status);
        return new Person(id, merged, conversation);
    }

    /// <summary>How many rows of the tenant, in which tables, hold any of the person's marks. Seen by the superuser, in every table there is.</summary>
    internal static async Task<Dictionary<string, long>> TracesAsync(TestApi api, Guid tenantId)
    {
        const string withTenant =
            """
            SELECT coalesce(array_agg(DISTINCT c.oid::regclass::text), '{}') FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            """;
        var traces = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var table in await api.Platform.Postgres.ScalarAsync<string[]>(withTenant))
        {
            var rows = await api.Platform.Postgres.ScalarAsync<long>($"SELECT count(*) FROM {table} AS t WHERE t.tenant_id = $1 AND t::text ILIKE ANY ($2)", tenantId, Marks.Select(m => $"%{m}%").ToArray());
            if (rows > 0)
            {
                traces[table] = rows;
            }
        }

        return traces;
    }

    /// <summary>The tenant's rows, by table, as they are: to see that nobody touched them. The agent's training is nobody's data, and comes due seconds after its actions change.</summary>
    internal static async Task<string> PrintAsync(TestApi api, Guid tenantId)
    {
        var lines = new List<string>();
        foreach (var table in api.Platform.Services.GetServices<IKeepsPersonalData>().SelectMany(m => m.Kept).Select(k => k.Table).Append("(SELECT * FROM work.items WHERE kind <> 'brain.train')"))
        {
            lines.Add(table + await api.Platform.Postgres.ScalarAsync<string>($"SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '-') FROM {table} AS t WHERE t.tenant_id = $1", tenantId));
        }

        return string.Join('\n', lines);
    }

    private static async Task<(Guid Conversation, Guid Contact)> TalkAsync(TestApi api, ProvisionedTenant at)
    {
        var platform = api.Platform;
        var system = Actor.System(at.TenantId);
        await platform.AsAsync(system, tx => platform.Get<ActionRegistry>().CreateAsync(tx, at.AgentId, Jobs.CancelApplication, default));
        var chat = (await platform.AsAsync(system, tx => platform.Get<Chat>().StartAsync(tx, at.AgentId, new StartChat(null, null, null), default))).Value;
        foreach (var text in new[] { $"my name is {Name} and my secret is {Secret}", "withdraw my application", $"call me at {Number} or write to {Mail}" })
        {
            Assert.True((await platform.AsAsync(system, tx => platform.Get<Chat>().SayAsync(tx, chat.ConversationId, new ChatText(text), default))).IsOk);
            await platform.DrainWithEventsAsync();
        }

        return (chat.ConversationId, chat.ContactId);
    }

    private static Task<string> WriteRestAsync(TestApi api, ProvisionedTenant at, Guid contact, Guid conversation) => api.Platform.Postgres.ScalarAsync<string>(
        """
        WITH channel AS (
            INSERT INTO channels.user_webhooks (tenant_id, id, agent_id, channel_type, channel_name, webhook_token, token_expires_at, provider_config)
            VALUES ($1, gen_random_uuid(), $2, 'sms', 'Texts ' || $1::text, gen_random_uuid(), now() + interval '1 year', '{}') RETURNING id
        ), heard AS (
            INSERT INTO channels.inbound_messages (tenant_id, id, webhook_id, agent_id, contact_id, sender_identifier, message_type, content, raw_payload)
            SELECT $1, gen_random_uuid(), id, $2, $3, $5, 'text', $4, jsonb_build_object('From', $5::text) FROM channel RETURNING id, webhook_id
        ), attached AS (
            INSERT INTO channels.inbound_attachments (tenant_id, id, inbound_message_id, file_name, content_type, content)
            SELECT $1, gen_random_uuid(), id, $4 || '.txt', 'text/plain', convert_to($4, 'UTF8') FROM heard
        ), said AS (
            INSERT INTO channels.outbound_messages (tenant_id, id, webhook_id, agent_id, contact_id, message_type, content, recipient_identifier)
            SELECT $1, gen_random_uuid(), webhook_id, $2, $3, 'text', 'Hello ' || $4, $5 FROM heard RETURNING id, webhook_id
        ), logged AS (
            INSERT INTO channels.webhook_logs (tenant_id, id, webhook_id, direction, event, inbound_message_id, url, method, status, request_body, completed_at)
            SELECT $1, gen_random_uuid(), webhook_id, 'inbound', 'message.received', id, 'https://in.example', 'POST', 'delivered', jsonb_build_object('Body', $4::text), now() FROM heard
        ), called AS (
            INSERT INTO models.agent_actions_log (tenant_id, id, turn_id, attempt, agent_id, agent_type, action_type, contact_id, context_id, context_type, through_id, model_name, model_used, provider, status, input_data, created_at)
            VALUES ($1, gen_random_uuid(), gen_random_uuid(), 1, $2, 'bouncer', 'reply', $3, $6, 'conversation', gen_random_uuid(), 'm', 'm', 'openai', 'started', jsonb_build_object('prompt', $4::text), now())
        ), cost AS (
            INSERT INTO costs.api_token_usage (tenant_id, id, agent_id, contact_id, provider, model, prompt_type, input_tokens, output_tokens, total_tokens, input_cost, output_cost, cache_cost, total_cost, response_time, created_at)
            VALUES ($1, gen_random_uuid(), $2, $3, 'openai', 'm', 'reply', 10, 5, 15, 0.1, 0.1, 0, 0.2, 12, now())
        ), credit AS (
            INSERT INTO credits.credit_events (tenant_id, id, contact_id, amount, kind, cause, description, processed, processed_at)
            VALUES ($1, gen_random_uuid(), $3, 25, 'award', 'intro:1', 'For ' || $4, true, now())
        ), archived AS (
            INSERT INTO schedules.archived_agent_tasks (tenant_id, id, task_type, agent_type, contact_id, scheduled_for, priority, status, retry_count, max_retries, context_json, created_at, completed_at, archived_at)
            VALUES ($1, gen_random_uuid(), 'note', 'bouncer', $3, now(), 'medium', 'completed', 0, 3, jsonb_build_object('note', $4::text), now(), now(), now())
        ), past AS (
            INSERT INTO events.archived_events (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload, created_at)
            VALUES ($1, gen_random_uuid(), 'message.received', 'conversation', $6, 9000, jsonb_build_object('content', $4::text), now() - interval '100 days')
        )
        SELECT 'written'
        """,
        at.TenantId, at.AgentId, contact, Secret, Number, conversation);
}
