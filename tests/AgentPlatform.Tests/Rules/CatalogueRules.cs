using Npgsql;

namespace AgentPlatform.Tests.Rules;

/// <summary>Promises about every table, read from the catalogue: a new table that breaks one fails here.</summary>
public sealed class CatalogueRules : IAsyncLifetime
{
    private const string PoliciesThatAskPerRow =
        """
        SELECT polrelid::regclass::text || ' ' || polname
        FROM pg_policy, LATERAL (SELECT concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS text) AS e
        WHERE polname IN ('tenant_read', 'tenant_insert', 'tenant_update', 'tenant_delete') AND e.text NOT LIKE '%( SELECT kernel.current_tenant_id()%'
        """;

    private TestDatabase _database = null!;

    public async Task InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    [Behaviour("mk-rls-complete-coverage")]
    public async Task Every_table_with_a_tenant_forces_row_level_security_and_has_a_policy() => Assert.Empty(await NamesAsync(
        """
        SELECT c.oid::regclass::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
        """));

    /// <summary>What no tenant owns is either nobody's to read, or guarded by a policy of its own.</summary>
    [Fact]
    public async Task A_table_without_a_tenant_is_closed_to_the_application_or_guarded() => Assert.Empty(await NamesAsync(
        """
        SELECT c.oid::regclass::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND (c.relispartition OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
          AND has_table_privilege('agentplatform_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
        """));

    [Fact]
    public async Task Policies_never_let_the_application_past_its_tenant() => Assert.Empty(await NamesAsync(
        """
        SELECT polrelid::regclass::text || ' ' || polname
        FROM pg_policy
        WHERE (polroles = '{0}' OR 'agentplatform_app'::regrole = ANY (polroles))
          AND coalesce(pg_get_expr(polqual, polrelid), 'true') = 'true' AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true'
        """));

    /// <summary>Else the plan that all tenants share is made for the rows of the one that came first.</summary>
    [Fact]
    public async Task Policies_ask_for_the_tenant_in_a_subquery() => Assert.Empty(await NamesAsync(PoliciesThatAskPerRow));

    [Fact]
    public async Task The_policies_of_a_database_that_was_there_before_are_changed_too()
    {
        await NamesAsync("ALTER POLICY tenant_read ON contacts.customer_profiles USING (tenant_id = kernel.current_tenant_id())");
        await NamesAsync("ALTER POLICY tenant_update ON contacts.customer_profiles USING (tenant_id = kernel.current_tenant_id() AND kernel.may_write())");
        Assert.Equal(2, (await NamesAsync(PoliciesThatAskPerRow)).Count);

        await NamesAsync(TestDatabase.Migrations.All.Single(m => m.Name == "kernel/004_tenant_asked_once.sql").Text);

        Assert.Empty(await NamesAsync(PoliciesThatAskPerRow));
    }

    [Fact]
    [Behaviour("ps-tenant-fk-guard")]
    public async Task A_foreign_key_between_tenant_owned_tables_includes_the_tenant() => Assert.Empty(await NamesAsync(
        """
        SELECT f.conrelid::regclass::text || ' ' || f.conname
        FROM pg_constraint f
        JOIN pg_attribute here ON here.attrelid = f.conrelid AND here.attname = 'tenant_id'
        JOIN pg_attribute there ON there.attrelid = f.confrelid AND there.attname = 'tenant_id'
        WHERE f.contype = 'f' AND f.conparentid = 0 AND NOT (here.attnum = ANY (f.conkey) AND there.attnum = ANY (f.confkey))
        """));

    [Fact]
    [Behaviour("bb-status-vocabularies")]
    public async Task Every_status_column_has_a_closed_vocabulary() => Assert.Empty(await NamesAsync(
        """
        SELECT c.oid::regclass::text || '.' || a.attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)
          AND (a.attname IN ('status', 'state') OR a.attname LIKE '%\_status')
          AND NOT (c.oid IN ('identity.users'::regclass, 'billing.buyers'::regclass) AND a.attname = 'state') -- a part of an address
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
        """));

    [Fact]
    [Behaviour("brain-updated-at-trigger", "bb-updated-at", "ps-updated-at", "mk-updated-at")]
    public async Task Every_updated_at_column_is_kept_by_the_trigger() => Assert.Empty(await NamesAsync(
        """
        SELECT c.oid::regclass::text
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'updated_at' AND NOT a.attisdropped
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'localhost')
          AND NOT EXISTS (
              SELECT FROM pg_trigger t
              WHERE t.tgrelid = c.oid AND t.tgfoid = 'kernel.update_updated_at_column'::regproc
                AND t.tgtype & 19 = 19 AND t.tgenabled = 'O')
        """));

    [Fact]
    public async Task Trigger_bodies_are_short() => Assert.Empty(await NamesAsync(
        """
        SELECT p.oid::regprocedure::text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.prorettype = 'trigger'::regtype AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')
          AND cardinality(string_to_array(trim(E'\n' FROM p.prosrc), E'\n')) > 25
        """));

    [Fact]
    public async Task Foreign_keys_say_what_a_delete_does_and_have_an_index_to_do_it_with() => Assert.Empty(await NamesAsync(
        """
        SELECT f.conrelid::regclass::text || ' ' || f.conname
        FROM pg_constraint f
        WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confdeltype IN ('c', 'n')
          AND f.confrelid <> 'tenancy.tenants'::regclass
          AND NOT EXISTS (
              SELECT FROM pg_index i
              WHERE i.indrelid = f.conrelid
                AND (SELECT bool_or(k = ANY (f.conkey)) FROM unnest((i.indkey::int2[])[0:1]) AS k WHERE k <> (SELECT attnum FROM pg_attribute WHERE attrelid = f.conrelid AND attname = 'tenant_id'))
                 OR i.indrelid = f.conrelid AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)
        """));

    /// <summary>Whoever leaves the action out gets a refusal: that is meant only where people, what was said and what is on offer are kept.</summary>
    [Fact]
    [Behaviour("bb-fk-delete-policy")]
    public async Task A_foreign_key_that_refuses_a_delete_protects_a_contact_what_was_said_or_what_is_sold() => Assert.Empty(await NamesAsync(
        """
        SELECT f.conrelid::regclass::text || ' ' || f.conname
        FROM pg_constraint f
        WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confdeltype NOT IN ('c', 'n')
          AND f.confrelid NOT IN ('contacts.customer_profiles'::regclass, 'conversations.conversations'::regclass, 'conversations.turn_records'::regclass,
              'billing.subscription_tiers'::regclass, 'billing.execution_packs'::regclass, 'billing.agent_add_ons'::regclass)
        """));

    [Fact]
    public async Task Nothing_is_visible_to_a_session_that_has_not_said_who_it_is()
    {
        await using var connection = new NpgsqlConnection(_database.ConnectionString);
        await connection.OpenAsync();
        foreach (var table in await NamesAsync(
            """
            SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relforcerowsecurity AND has_table_privilege('agentplatform_app', c.oid, 'SELECT')
            """))
        {
            await using var command = new NpgsqlCommand($"BEGIN; SET LOCAL ROLE agentplatform_app; SELECT count(*) FROM {table}; COMMIT", connection);
            await using var reader = await command.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            Assert.Equal(0L, reader.GetInt64(0));
        }
    }

    private async Task<IReadOnlyList<string>> NamesAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(_database.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var names = new List<string>();
        while (await reader.ReadAsync())
        {
            names.Add(reader.GetString(0));
        }

        return names;
    }
}
