using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Rules;

/// <summary>
/// Every table that has a column for a contact, or for what belongs to one, is handed out and erased with the contact, or it is told here why not. A new table
/// fails here until somebody has thought about it.
/// </summary>
public sealed class PersonalDataRules : IAsyncLifetime
{
    private static readonly Dictionary<string, string[]> NotHandedOut = new(StringComparer.Ordinal)
    {
        ["The proof that a person was erased: it says who asked and when, not who it was"] = ["contacts.erasures"],
        ["An operator's session is no contact's"] = ["identity.refresh_tokens"],
        ["Says only until when somebody looks at a conversation's drafts; gone after a day"] = ["conversations.conversation_followers"],
    };

    private static readonly Dictionary<string, string[]> NotErased = new(StringComparer.Ordinal)
    {
        ["An operator's session is no contact's"] = ["identity.refresh_tokens"],
        ["The proof of the erasure"] = ["contacts.erasures"],
        ["Goes with its conversation, request or message, by a foreign key"] =
        [
            "conversations.conversation_followers", "channels.delivery_receipts", "messaging.effects", "actions.action_approvals", "actions.execution_checkpoints",
            "actions.execution_controls", "actions.effects", "workflows.workflow_executions", "workflows.workflow_steps", "workflows.workflow_signals", "tasks.task_executions", "memory.relationships",
        ],
        ["What it cost: numbers and ids, which lead nowhere any more"] = ["costs.api_token_usage"],
        ["What became of a campaign's message: it names an emptied profile and is counted"] = ["campaigns.move_recipients"],
        ["Goes with the rows it tells of, by their ids: see IKeepsTraces"] = ["events.events", "events.archived_events"],
    };

    private TestPlatform _platform = null!;

    private List<Kept> Kept => [.. _platform.Services.GetServices<IKeepsPersonalData>().SelectMany(m => m.Kept)];

    public async Task InitializeAsync() => _platform = await TestPlatform.StartAsync();

    public async Task DisposeAsync() => await _platform.DisposeAsync();

    [Fact]
    public async Task A_table_with_a_contact_is_part_of_its_export_or_it_is_told_why_not()
    {
        var excused = NotHandedOut.Values.SelectMany(t => t).ToList();

        Assert.Empty((await TablesAsync()).Except(Kept.Select(k => k.Table)).Except(excused));
        Assert.Empty(excused.Intersect(Kept.Select(k => k.Table)));
    }

    [Fact]
    public async Task A_table_with_a_contact_is_erased_with_it_or_it_is_told_why_not()
    {
        var (erased, excused) = (Kept.Where(k => k.Erase is not null).Select(k => k.Table).ToList(), NotErased.Values.SelectMany(t => t).ToList());

        Assert.Empty((await TablesAsync()).Union(Kept.Select(k => k.Table)).Except(erased).Except(excused));
        Assert.Empty(excused.Intersect(erased));
    }

    [Fact]
    public void A_table_is_one_modules_alone() => Assert.Equal(Kept.Select(k => k.Table).Distinct().Order(), Kept.Select(k => k.Table).Order());

    private async Task<IReadOnlyList<string>> TablesAsync() => await _platform.Postgres.ScalarAsync<string[]>(
        """
        SELECT array_agg(DISTINCT c.oid::regclass::text)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')
          AND a.attname ~ '(^|_)(contact|profile|conversation|session|inbound_message|outbound_message)s?(_context)?_ids?$'
          AND a.attname NOT IN ('browser_session_id', 'agent_session_id', 'persist_session_id')
        """);
}
