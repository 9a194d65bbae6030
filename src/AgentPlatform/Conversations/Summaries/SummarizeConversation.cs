using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules;

namespace AgentPlatform.Conversations.Summaries;

/// <summary>Task <c>create_conversation_summary</c>: folds everything said since the last summary into a new one.</summary>
internal sealed class SummarizeConversation(ConversationLog log) : IAgentTaskHandler
{
    /// <summary>Messages one summary reads; it runs every fifty, so only a long outage reaches it, and the rest waits for the next one.</summary>
    private const int MostMessages = 500;

    public string TaskType => "create_conversation_summary";

    public async Task<AgentTaskOutcome> RunAsync(AgentTask task, Transaction tx, CancellationToken ct)
    {
        if (!task.ContextJson.TryGetProperty("conversation_id", out var value) || !value.TryGetGuid(out var id))
        {
            return new AgentTaskOutcome.Failed("The context holds no conversation_id.");
        }

        if (await log.FindAsync(tx, id, ct) is not { } conversation)
        {
            return new AgentTaskOutcome.Failed($"There is no conversation {id}.");
        }

        var lines = await tx.QueryAsync<Line>(Sql.Unsummarized, [id, conversation.LastSummaryMessageId ?? Guid.Empty, MostMessages], ct);
        if (lines is [])
        {
            return new AgentTaskOutcome.Completed(new { messages = 0 });
        }

        var summary = ExtractiveSummary.Summarize(conversation.ConversationSummary,
            [.. lines.Where(l => l.Role != "system").Select(l => new SpokenLine(Speaker(l.Role), l.Content))]);
        var facts = new { names = summary.Names, decisions = summary.Decisions, open_questions = summary.OpenQuestions };
        tx.Post(Sql.Save, id, summary.Text, lines[^1].Id, Json.Param(facts));
        return new AgentTaskOutcome.Completed(new { messages = lines.Count, last_summary_message_id = lines[^1].Id, characters = summary.Text.Length });
    }

    private static string Speaker(string role) => role switch
    {
        "user" => "Contact",
        "human" => "Operator",
        _ => "Agent",
    };

    private sealed record Line(Guid Id, string Role, string Content);

    private static class Sql
    {
        internal const string Unsummarized = "SELECT id, role, content FROM conversations.messages WHERE conversation_id = $1 AND id > $2 ORDER BY id LIMIT $3";

        internal const string Save =
            """
            UPDATE conversations.conversations SET conversation_summary = $2, last_summary_message_id = $3, context_memory = context_memory || $4 WHERE id = $1
            """;
    }
}
