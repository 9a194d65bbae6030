using AgentPlatform.Tests.Brain;
using AgentPlatform.Tests.Sandbox;

namespace AgentPlatform.Tests.Postgres;

/// <summary>Which commits wait for the disk: those of which somebody outside is told, and no other of a message's way through the platform.</summary>
public sealed class FlushTests
{
    [Fact]
    public async Task What_the_outside_is_told_is_on_disk_first_and_claims_and_counts_do_not_wait_for_it()
    {
        await using var stage = await ChannelStage.StartAsync(null);
        var channel = await stage.SmsChannelAsync();
        await NoteCommitsAsync(
            stage.Platform.Postgres,
            ("counted", "INSERT OR UPDATE ON channels.webhook_rates"), ("text came in", "INSERT ON channels.inbound_messages"), ("before the call", "INSERT ON messaging.effects"), ("after the call", "UPDATE ON messaging.effects"));

        using var answer = await stage.TextAsync(channel, "+14155550100", "hello");
        await stage.SettleAsync();

        Assert.Single(stage.Twilio.Messages);
        Assert.Equal("after the call: flushed, before the call: flushed, claim: later, counted: later, text came in: flushed", await CommitsAsync(stage.Platform.Postgres));
    }

    [Fact]
    public async Task A_turn_is_lost_with_its_claim_or_not_at_all_and_does_not_wait_for_the_disk()
    {
        await using var talk = await Talk.StartAsync();
        await NoteCommitsAsync(talk.Platform.Postgres, ("said", "INSERT ON conversations.messages"), ("turn", "INSERT ON conversations.turn_records"));

        Assert.NotEmpty(await talk.SayAsync("hello"));

        // The reply in the chat is a message, too, and is shown by a transaction that is flushed.
        Assert.Equal("claim: later, said: flushed, turn: later", await CommitsAsync(talk.Platform.Postgres));
    }

    /// <summary>Notes of the transactions that do these, as they commit, whether they asked to be flushed later.</summary>
    private static Task<string> NoteCommitsAsync(TestDatabase postgres, params (string What, string When)[] transactions) => postgres.ScalarAsync<string>(
        $"""
        CREATE TABLE public.commits (what text, flushed_later boolean);
        GRANT INSERT ON public.commits TO PUBLIC;
        CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO public.commits SELECT TG_ARGV[0], source = 'session' FROM pg_settings WHERE name = 'synchronous_commit';
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON work.items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state = 'ready' AND NEW.state = 'running') EXECUTE FUNCTION public.note_commit('claim');
        {string.Join('\n', transactions.Select((one, i) => $"CREATE CONSTRAINT TRIGGER note_{i} AFTER {one.When} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_commit('{one.What}');"))}
        SELECT '';
        """);

    /// <summary>A claim that travels with completions is flushed: what counts is that one by itself is not.</summary>
    private static Task<string> CommitsAsync(TestDatabase postgres) => postgres.ScalarAsync<string>(
        """
        SELECT string_agg(what || ': ' || CASE WHEN later THEN 'later' ELSE 'flushed' END, ', ' ORDER BY what)
        FROM (SELECT what, bool_or(flushed_later) AS later FROM public.commits GROUP BY what) AS c
        """);
}
