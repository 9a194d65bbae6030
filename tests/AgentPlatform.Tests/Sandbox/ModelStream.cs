using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.Tests.Sandbox;

/// <summary>What comes after the first half of an answer instead of the second.</summary>
public enum Midway
{
    /// <summary>The connection breaks.</summary>
    Cut,

    /// <summary>The stream ends as if all had been said.</summary>
    End,

    /// <summary>Nothing more, ever.</summary>
    Silence,

    /// <summary>What is no JSON.</summary>
    Nonsense,
}

/// <summary>An answer of a model as server-sent events, in the words of one provider, a few characters at a time.</summary>
internal abstract class ModelStream(HttpContext http)
{
    private const int PieceLength = 7;

    protected HttpContext Http => http;

    protected string? Form => http.Items[FakeModel.FormKey] as string;

    internal static ModelStream Of(HttpContext http)
    {
        http.Response.ContentType = "text/event-stream";
        return http.Request.Path.Value!.EndsWith("/messages", StringComparison.Ordinal) ? new AnthropicStream(http) : new OpenAIStream(http);
    }

    internal async Task FillAsync(string form, Func<Task>? halfway)
    {
        await StartAsync(isForm: true);
        await PiecesAsync(form[..(form.Length / 2)], isForm: true);
        await (halfway?.Invoke() ?? Task.CompletedTask);
        await PiecesAsync(form[(form.Length / 2)..], isForm: true);
        await EndAsync(isForm: true);
    }

    internal async Task SayAsync(string text)
    {
        await StartAsync(isForm: false);
        await PiecesAsync(text, isForm: false);
        await EndAsync(isForm: false);
    }

    /// <summary>What is on its way when a connection breaks may never arrive: whoever counts on it says when it was heard.</summary>
    internal async Task BeginAsync(string form, Midway then, Func<Task>? heard)
    {
        await StartAsync(isForm: true);
        await PiecesAsync(form[..(form.Length / 2)], isForm: true);
        await (heard?.Invoke() ?? Task.CompletedTask);
        switch (then)
        {
            case Midway.Cut:
                http.Abort();
                break;
            case Midway.Silence:
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                break;
            case Midway.Nonsense:
                await WriteAsync("content_block_delta", "{\"type\": \"content_blo");
                break;
        }
    }

    protected abstract Task StartAsync(bool isForm);

    protected abstract Task PieceAsync(string piece, bool isForm);

    protected abstract Task EndAsync(bool isForm);

    protected async Task WriteAsync(string? name, string data)
    {
        await http.Response.WriteAsync(name is null ? $"data: {data}\n\n" : $"event: {name}\ndata: {data}\n\n");
        await http.Response.Body.FlushAsync();
    }

    private async Task PiecesAsync(string text, bool isForm)
    {
        for (var at = 0; at < text.Length; at += PieceLength)
        {
            await PieceAsync(text[at..Math.Min(text.Length, at + PieceLength)], isForm);
        }
    }
}

internal sealed class AnthropicStream(HttpContext http) : ModelStream(http)
{
    protected override async Task StartAsync(bool isForm)
    {
        await SendAsync("message_start", new
        {
            type = "message_start",
            message = new
            {
                id = "msg_1",
                type = "message",
                role = "assistant",
                model = "fake",
                content = Array.Empty<object>(),
                stop_reason = (string?)null,
                stop_sequence = (string?)null,
                usage = new { input_tokens = FakeModel.Input, output_tokens = 1, cache_creation_input_tokens = FakeModel.CacheWritten, cache_read_input_tokens = FakeModel.CacheRead },
            },
        });
        await SendAsync("content_block_start", new
        {
            type = "content_block_start",
            index = 0,
            content_block = isForm ? Json.Of(new { type = "tool_use", id = "tu_1", name = Form, input = new { } }) : Json.Of(new { type = "text", text = "" }),
        });
    }

    protected override Task PieceAsync(string piece, bool isForm) => SendAsync("content_block_delta", new
    {
        type = "content_block_delta",
        index = 0,
        delta = isForm ? Json.Of(new { type = "input_json_delta", partial_json = piece }) : Json.Of(new { type = "text_delta", text = piece }),
    });

    protected override async Task EndAsync(bool isForm)
    {
        await SendAsync("content_block_stop", new { type = "content_block_stop", index = 0 });
        await SendAsync("message_delta", new
        {
            type = "message_delta",
            delta = new { stop_reason = isForm ? "tool_use" : "end_turn", stop_sequence = (string?)null },
            usage = new { output_tokens = FakeModel.Output },
        });
        await SendAsync("message_stop", new { type = "message_stop" });
    }

    private Task SendAsync(string name, object data) => WriteAsync(name, Json.Text(data));
}

internal sealed class OpenAIStream(HttpContext http) : ModelStream(http)
{
    protected override Task StartAsync(bool isForm) => ChunkAsync(isForm
        ? new { role = "assistant", content = (string?)null, tool_calls = new[] { new { index = 0, id = "c1", type = "function", function = new { name = Form, arguments = "" } } } }
        : new { role = "assistant", content = "" });

    protected override Task PieceAsync(string piece, bool isForm) =>
        ChunkAsync(isForm ? new { tool_calls = new[] { new { index = 0, function = new { arguments = piece } } } } : new { content = piece });

    /// <summary>
    /// OpenAI counts what it read from the cache among the prompt, and does not charge for writing to it; it counts for those only who ask for it.
    /// </summary>
    protected override async Task EndAsync(bool isForm)
    {
        await ChunkAsync(new { }, isForm ? "tool_calls" : "stop");
        if (Http.Items[FakeModel.CountsKey] is true)
        {
            await WriteAsync(null, Json.Text(new
            {
                id = "chatcmpl-1",
                @object = "chat.completion.chunk",
                created = 1,
                model = "fake",
                choices = Array.Empty<object>(),
                usage = new
                {
                    prompt_tokens = FakeModel.Input + FakeModel.CacheRead,
                    completion_tokens = FakeModel.Output,
                    total_tokens = FakeModel.Input + FakeModel.CacheRead + FakeModel.Output,
                    prompt_tokens_details = new { cached_tokens = FakeModel.CacheRead },
                },
            }));
        }

        await WriteAsync(null, "[DONE]");
    }

    private Task ChunkAsync(object delta, string? finish = null) => WriteAsync(null, Json.Text(new
    {
        id = "chatcmpl-1",
        @object = "chat.completion.chunk",
        created = 1,
        model = "fake",
        choices = new[] { new { index = 0, delta, finish_reason = finish } },
    }));
}
