namespace AgentPlatform.Tests.Conversations;

public sealed class TriggerInventoryTests
{
    [Fact]
    [Behaviour("yp-trigger-inventory")]
    public async Task The_five_triggers_of_the_seed_exist_once_each()
    {
        await using var database = await TestDatabase.CreateAsync();

        var found = await database.ScalarAsync<string[]>(
            """
            SELECT array_agg(tgname || ' ' || tgrelid::regclass ORDER BY tgname) FROM pg_trigger
            WHERE tgparentid = 0 AND tgname IN ('on_event_created', 'on_credit_event_processed', 'on_message_count_check', 'on_phone_change', 'on_message_send')
            """);

        Assert.Equal(
            [
                "on_credit_event_processed credits.credit_events", "on_event_created events.events", "on_message_count_check conversations.messages",
                "on_message_send conversations.messages", "on_phone_change contacts.customer_profiles",
            ],
            found);
    }
}
