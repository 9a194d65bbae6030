using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using AgentPlatform.Conversations.Drafts;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Console.Simulator;

/// <summary>A piece of the page that has changed: its element, and the list it joins when it is new.</summary>
public sealed record Patch(string Id, string? List, string Html);

/// <summary>Follows a conversation: whenever something happens in it, the pieces of the page that it changes, rendered by the page's own components.</summary>
internal sealed class StreamConversation(
    ReadConversation conversations, EventSignals signals, ConversationFollowers followers, IServiceScopeFactory scopes, ILoggerFactory loggers, IHostApplicationLifetime host, TimeProvider clock)
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(15);

    // The browser connects again by itself, and is asked again who it is.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    internal Task<ConversationView?> OpenAsync(Actor actor, Guid id, CancellationToken ct) => conversations.FindAsync(actor, id, ct);

    internal async IAsyncEnumerable<SseItem<Patch?>> FollowAsync(Actor actor, ConversationView view, int seenVersion, [EnumeratorCancellation] CancellationToken ct)
    {
        using var open = CancellationTokenSource.CreateLinkedTokenSource(ct, host.ApplicationStopping);
        using var signal = signals.Of(actor.TenantId, view.Conversation.Id);
        var follower = followers.Begin(actor, view.Conversation.Id);
        view = await conversations.FindAsync(actor, view.Conversation.Id, ct) ?? view;
        var shown = seenVersion == view.Timeline.Version ? Pieces(view, draft: null).ToDictionary(p => p.Id, p => p.Revision, StringComparer.Ordinal) : [];
        var (ends, beat, draft) = (clock.GetUtcNow() + Longest, clock.GetUtcNow(), (ReplyDraft?)null);
        yield return Alive(view);
        while (clock.GetUtcNow() < ends && !open.IsCancellationRequested)
        {
            foreach (var piece in Pieces(view, draft).Where(p => shown.GetValueOrDefault(p.Id) != p.Revision))
            {
                shown[piece.Id] = piece.Revision;
                beat = clock.GetUtcNow();
                yield return new SseItem<Patch?>(new Patch(piece.Id, piece.List, await RenderAsync(piece)), "patch") { EventId = $"{view.Timeline.Version}" };
            }

            if (clock.GetUtcNow() - beat > Beat)
            {
                beat = clock.GetUtcNow();
                yield return Alive(view);
            }

            if (!await WaitAsync(follower, signal, open.Token))
            {
                yield break;
            }

            draft = signal.TakeNotes().Aggregate(draft, Heard);
            view = await conversations.HasNewsAsync(actor, view.Conversation.Id, view.Timeline.Version, ct)
                ? await conversations.FindAsync(actor, view.Conversation.Id, ct) ?? view
                : view;
        }
    }

    private static SseItem<Patch?> Alive(ConversationView view) => new(null, "alive") { EventId = $"{view.Timeline.Version}", ReconnectionInterval = TimeSpan.FromSeconds(1) };

    /// <summary>A draft replaces the one before; one that is withdrawn leaves nothing.</summary>
    private static ReplyDraft? Heard(ReplyDraft? draft, LiveNote note) => note.Type == ReplyDrafts.Draft ? Json.Read<ReplyDraft>(note.Data) : null;

    private static IEnumerable<Piece> Pieces(ConversationView view, ReplyDraft? draft)
    {
        // Before the messages: the reply takes its place.
        var written = draft is not null && view.IsTyping && !view.Timeline.HasEnded(draft.TurnId) ? draft : null;
        yield return new("draft", null, $"{written?.Attempt}-{written?.Text.Length}", typeof(DraftItem), nameof(DraftItem.Draft), written);
        foreach (var message in view.Messages)
        {
            yield return new($"m-{message.Id}", "messages", message.Status ?? "in", typeof(MessageItem), nameof(MessageItem.Message), message);
        }

        foreach (var turn in view.Timeline.Turns)
        {
            yield return new(turn.Key, "turns", $"{turn.Version}", typeof(TurnItem), nameof(TurnItem.Turn), turn);
        }

        yield return new("with", null, Names.Of(view), typeof(WithLine), nameof(WithLine.View), view);
        yield return new("typing", null, $"{view.IsTyping}", typeof(TypingItem), nameof(TypingItem.On), view.IsTyping);
        if (view.Contact is { } contact)
        {
            yield return new("profile", null, $"{contact.ChangedAt.UtcTicks}/{view.Fields.Count}", typeof(ProfileCard), nameof(ProfileCard.View), view);
        }
    }

    private static async Task<bool> WaitAsync(ConversationFollowers.Follower follower, EventSignals.Signal signal, CancellationToken ct)
    {
        try
        {
            await follower.StayAsync(ct);
            await signal.WaitAsync(ct);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<string> RenderAsync(Piece piece)
    {
        await using var scope = scopes.CreateAsyncScope();
        await using var renderer = new HtmlRenderer(scope.ServiceProvider, loggers);
        var parameters = ParameterView.FromDictionary(new Dictionary<string, object?>(StringComparer.Ordinal) { [piece.Parameter] = piece.Value });
        return await renderer.Dispatcher.InvokeAsync(async () => (await renderer.RenderComponentAsync(piece.Component, parameters)).ToHtmlString());
    }

    private sealed record Piece(string Id, string? List, string Revision, Type Component, string Parameter, object? Value);
}
