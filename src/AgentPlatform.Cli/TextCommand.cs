using System.CommandLine;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Text.Json;
using AgentPlatform.Cli.Converse;
using AgentPlatform.Demo;

namespace AgentPlatform.Cli;

/// <summary>Writes to the demo's agent as a person would: through the provider's webhook, with the provider's signature.</summary>
internal static class TextCommand
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(700);

    internal static Command Create()
    {
        var from = new Argument<string>("from") { Description = "Who writes: a number such as +14155550100, an e-mail address, or any id for the custom channel" };
        var message = new Argument<string>("message") { Description = "What is said" };
        var to = new Option<string>("--to") { Description = $"The demo channel: {string.Join(", ", DemoChannels.All)}", DefaultValueFactory = _ => DemoChannels.Sms };
        var wait = new Option<int>("--wait") { Description = "Seconds to wait for the reply", DefaultValueFactory = _ => 30 };
        var file = new Option<string>("--demo") { Description = "Written by ./dev run", DefaultValueFactory = _ => DemoFile.DefaultPath };
        var command = new Command("text", "Send a signed message to the running host and print the replies as they arrive") { from, message, to, wait, file };
        command.Run((parsed, ct) =>
        {
            var path = parsed.GetValue(file)!;
            var demo = DemoFile.Read(path) ?? throw new CommandException($"{path} is missing: start the host with ./dev run, or name the file with --demo.");
            return SendAsync(demo, parsed.GetValue(to)!, parsed.GetValue(from)!, parsed.GetValue(message)!, TimeSpan.FromSeconds(parsed.GetValue(wait)), ct);
        });
        return command;
    }

    private static async Task<int> SendAsync(DemoFile demo, string channel, string from, string text, TimeSpan wait, CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = new Uri(demo.BaseUrl), Timeout = Timeout.InfiniteTimeSpan };
        // The stream is open before the message leaves, so nothing that follows from it is missed.
        using var events = await OpenStreamAsync(client, demo, ct);
        using var webhook = ProviderRequests.Create(demo, channel, from, text, TimeProvider.System);
        using var answer = await client.SendAsync(webhook, ct);
        if (!answer.IsSuccessStatusCode)
        {
            return Commands.Fail($"The webhook was refused with {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync(ct)}");
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(wait);
        var talk = new TalkProgress(DemoChannels.TypeOf(channel), text);
        try
        {
            await FollowAsync(await events.Content.ReadAsStreamAsync(ct), talk, patience.Token);
            return 0;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return talk.IsSettled ? 0 : Commands.Fail($"No reply within {wait.TotalSeconds:0} s.");
        }
    }

    private static async Task<HttpResponseMessage> OpenStreamAsync(HttpClient client, DemoFile demo, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/events/stream") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", demo.ApiKey) } };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        return response.IsSuccessStatusCode ? response : throw new CommandException($"The API refused the demo's key ({(int)response.StatusCode}). Start the host again with ./dev run.");
    }

    /// <summary>Prints what happens until the talk has settled and nothing more came for a moment.</summary>
    private static async Task FollowAsync(Stream stream, TalkProgress talk, CancellationToken ct)
    {
        // An action's reply is a transaction of its own a moment after the turn: settled means settled and quiet.
        using var quiet = CancellationTokenSource.CreateLinkedTokenSource(ct);
        try
        {
            await foreach (var item in SseParser.Create(stream).EnumerateAsync(quiet.Token))
            {
                if (item.Data.Length > 0)
                {
                    Print(talk.Apply(JsonSerializer.Deserialize<JsonElement>(item.Data)));
                }

                quiet.CancelAfter(talk.IsSettled ? Quiet : Timeout.InfiniteTimeSpan);
            }
        }
        catch (OperationCanceledException) when (talk.IsSettled && !ct.IsCancellationRequested)
        {
            // Nothing more is to come.
        }
    }

    private static void Print(TalkLine? line)
    {
        switch (line)
        {
            case { IsReply: true }:
                Commands.Say($"[bold green]{line.Text}[/]");
                break;
            case not null:
                Commands.Say($"[grey]  {line.Text}[/]");
                break;
        }
    }
}
