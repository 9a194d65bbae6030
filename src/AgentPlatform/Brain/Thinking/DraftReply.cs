using System.Text;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Brain.Thinking;

/// <summary>
/// Makes a call, and shows what the model is about to say to those who follow the conversation while it says it: ten times a second at most, only
/// while somebody is there, and never so that the call waits for it or fails by it.
/// </summary>
internal sealed class DraftReply(ModelCalls calls, ReplyDrafts drafts, TimeProvider clock, ILogger<DraftReply> log)
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);

    /// <summary>Between two looks whether anybody follows.</summary>
    private static readonly TimeSpan LookAround = TimeSpan.FromSeconds(1);

    internal async Task MakeAsync(Actor actor, PreparedCall prepared, CancellationToken ct)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var writing = new Writing(actor, prepared.Call.Place);
        var showing = ShowAsync(writing, over.Token, ct);
        bool answered;
        try
        {
            answered = await calls.MakeAsync(actor, prepared, writing.Hear, ct);
        }
        finally
        {
            await over.CancelAsync();
            await showing;
        }

        if (!answered && writing.WasShown)
        {
            await BestEffortAsync(writing, () => drafts.WithdrawAsync(actor, writing.Place.ContextId, writing.Place.TurnId, writing.Place.Attempt, ct));
        }
    }

    private async Task ShowAsync(Writing writing, CancellationToken over, CancellationToken ct)
    {
        if (writing.Place.Attempt > 1)
        {
            await BestEffortAsync(writing, () => WithdrawEarlierAsync(writing, ct));
        }

        try
        {
            using var pace = new PeriodicTimer(Pace, clock);
            while (await pace.WaitForNextTickAsync(over))
            {
                // Not cut short by the end of the call: what is shown is shown before the reply.
                await BestEffortAsync(writing, () => ShowNewsAsync(writing, ct));
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The call is over.
        }
    }

    /// <summary>The attempt before failed, or was refused after it had been shown, perhaps by a host that is gone.</summary>
    private async Task WithdrawEarlierAsync(Writing writing, CancellationToken ct)
    {
        var place = writing.Place;
        if (await drafts.AreSeenAsync(writing.Actor, place.ContextId, ct))
        {
            await drafts.WithdrawAsync(writing.Actor, place.ContextId, place.TurnId, place.Attempt - 1, ct);
        }
    }

    private async Task ShowNewsAsync(Writing writing, CancellationToken ct)
    {
        if (writing.News() is not { } text)
        {
            return;
        }

        if (writing.LookedAt is not { } looked || clock.GetElapsedTime(looked) >= LookAround)
        {
            writing.IsFollowed = await drafts.AreSeenAsync(writing.Actor, writing.Place.ContextId, ct);
            writing.LookedAt = clock.GetTimestamp();
        }

        if (writing.IsFollowed)
        {
            await drafts.ShowAsync(writing.Actor, writing.Place.ContextId, new ReplyDraft(writing.Place.TurnId, writing.Place.Attempt, text), ct);
            writing.Shown = text;
        }
    }

    private async Task BestEffortAsync(Writing writing, Func<Task> show)
    {
        try
        {
            await show();
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
        {
            log.DraftsLost(writing.Place.ContextId, e);
        }
    }

    /// <summary>The form as far as it is written. Heard by the call, read by the one who shows it.</summary>
    private sealed class Writing(Actor actor, CallPlace place)
    {
        private readonly StringBuilder _form = new();

        internal Actor Actor => actor;

        internal CallPlace Place => place;

        internal bool IsFollowed { get; set; }

        internal long? LookedAt { get; set; }

        internal string Shown { get; set; } = "";

        internal bool WasShown => Shown.Length > 0;

        internal void Hear(string piece)
        {
            lock (_form)
            {
                _form.Append(piece);
            }
        }

        /// <summary>Null when there is nothing to show that was not shown.</summary>
        internal string? News()
        {
            string form;
            lock (_form)
            {
                form = _form.ToString();
            }

            var text = DraftText.Of(form);
            return text.Length > 0 && text != Shown ? text : null;
        }
    }
}
