using AgentPlatform.Api;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Channels.Manage;

internal static class ChannelsApi
{
    private static readonly string[] Inbound = ["received", "processing", "processed", "failed", "ignored"];
    private static readonly string[] Outbound = ["pending", "sending", "unknown", "sent", "delivered", "read", "failed", "cancelled"];
    private static readonly string[] Calls = ["pending", "retrying", "delivered", "failed", "rejected"];

    internal static void MapChannels(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/channels").WithTags("Channels");
        group.MapGet("", async (HttpContext http, ManageChannels channels, Guid? agent_id, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => channels.ListAsync(http.Actor(), agent_id, page, ct)).ToHttpAsync())
            .RequireScope("channels:read").Describe("listChannels", "List the tenant's channels.").Produces<Page<ChannelView>>();
        group.MapPost("", async (HttpContext http, ManageChannels channels, ChannelInput body, CancellationToken ct) =>
                (await channels.CreateAsync(http.Actor(), body, ct)).ToCreated(made => $"/api/v1/channels/{made.Channel.Id}", made => made.Channel.UpdatedAt))
            .RequireScope("channels:write").Sensitive("channel.create", "channel").Describe("createChannel", "Create a channel; its secret is shown this once.").Produces<ChannelWithSecret>(StatusCodes.Status201Created);
        group.MapGet("/{id:guid}", async (HttpContext http, ManageChannels channels, Guid id, CancellationToken ct) =>
                (await channels.FindAsync(http.Actor(), id, ct)).ToHttp(channel => channel.UpdatedAt))
            .RequireScope("channels:read").Describe("getChannel", "Read a channel.").Produces<ChannelView>();
        group.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageChannels channels, Guid id, ChannelInput body, CancellationToken ct) =>
                (await channels.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(channel => channel.UpdatedAt))
            .RequireScope("channels:write").Describe("changeChannel", "Change a channel.").Produces<ChannelView>();
        group.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageChannels channels, Guid id, CancellationToken ct) =>
                (await channels.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("channels:write").Sensitive("channel.delete", "channel").Describe("deleteChannel", "Delete a channel with its messages; conversations stay.").Produces(StatusCodes.Status204NoContent);
    }

    internal static void MapChannelActions(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/channels/{id:guid}").WithTags("Channels");
        group.MapPost("/primary", async (HttpContext http, IfMatch ifMatch, ManageChannels channels, Guid id, CancellationToken ct) =>
                (await channels.MakePrimaryAsync(http.Actor(), id, ifMatch, ct)).ToHttp(channel => channel.UpdatedAt))
            .RequireScope("channels:write").Describe("makeChannelPrimary", "Make the channel its agent's primary one.").Produces<ChannelView>();
        group.MapPost("/verification", async (HttpContext http, VerifyChannel verify, Guid id, ProbeRecipient body, CancellationToken ct) =>
                (await verify.SendCodeAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("channels:write").LimitRate(10).Describe("sendChannelVerification", "Send a verification code over the channel.").Produces<ProbeResult>();
        group.MapPost("/verify", async (HttpContext http, VerifyChannel verify, Guid id, VerificationCode body, CancellationToken ct) =>
                (await verify.ConfirmAsync(http.Actor(), id, body, ct)).ToHttp(channel => channel.UpdatedAt))
            .RequireScope("channels:write").LimitRate(30).Describe("verifyChannel", "Verify the channel with the code that was received.").Produces<ChannelView>();
        group.MapPost("/test", async (HttpContext http, VerifyChannel verify, Guid id, ProbeRecipient body, CancellationToken ct) =>
                (await verify.TestAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("channels:write").LimitRate(30).Describe("testChannel", "Send a test message over the channel.").Produces<ProbeResult>();
        group.MapPost("/token", async (HttpContext http, RotateChannel rotate, Guid id, Rotation body, CancellationToken ct) =>
                (await rotate.TokenAsync(http.Actor(), id, body, ct)).ToHttp(channel => channel.UpdatedAt))
            .RequireScope("channels:write").Sensitive("channel.rotate_token", "channel").Describe("rotateChannelToken", "Give the channel a new token and address.").Produces<ChannelView>();
        group.MapPost("/secret", async (HttpContext http, RotateChannel rotate, Guid id, Rotation body, CancellationToken ct) =>
                (await rotate.SecretAsync(http.Actor(), id, body, ct)).ToHttp())
            .RequireScope("channels:write").Sensitive("channel.rotate_secret", "channel").Describe("rotateChannelSecret", "Give the channel a new secret, shown this once.").Produces<ChannelWithSecret>();
    }

    internal static void MapMessages(IEndpointRouteBuilder v1)
    {
        v1.MapGet("/inbound-messages", async (
                HttpContext http, MessageLists lists, Guid? channel_id, Guid? conversation_id, string? status, int? limit, string? cursor, CancellationToken ct) =>
                await ListAsync(limit, cursor, status, Inbound, page => lists.InboundAsync(http.Actor(), channel_id, conversation_id, status, page, ct)))
            .WithTags("Messages").RequireScope("messages:read").Describe("listInboundMessages", "List what came in over the channels.").Produces<Page<InboundView>>();
        v1.MapGet("/outbound-messages", async (
                HttpContext http, MessageLists lists, Guid? channel_id, Guid? conversation_id, string? status, int? limit, string? cursor, CancellationToken ct) =>
                await ListAsync(limit, cursor, status, Outbound, page => lists.OutboundAsync(http.Actor(), channel_id, conversation_id, status, page, ct)))
            .WithTags("Messages").RequireScope("messages:read").Describe("listOutboundMessages", "List what went out over the channels.").Produces<Page<OutboundView>>();
        v1.MapGet("/webhook-logs", async (
                HttpContext http, MessageLists lists, Guid? channel_id, string? @event, string? status, int? limit, string? cursor, CancellationToken ct) =>
                await ListAsync(limit, cursor, status, Calls, page => lists.LogsAsync(http.Actor(), channel_id, @event, status, page, ct)))
            .WithTags("Channels").RequireScope("channels:read").Describe("listWebhookLogs", "List webhook calls, made and received.").Produces<Page<WebhookLogView>>();
        v1.MapGet("/attachments/{id:guid}", async (HttpContext http, MessageLists lists, Guid id, CancellationToken ct) => await DownloadAsync(http, lists, id, ct))
            .WithTags("Messages").RequireScope("messages:read").Describe("getAttachment", "Download a file of an inbound mail.").Produces(StatusCodes.Status200OK, contentType: "application/octet-stream");
    }

    internal static void MapInbox(IEndpointRouteBuilder v1)
    {
        var inbox = v1.MapGroup("/inbox").WithTags("Messages");
        inbox.MapGet("", async (HttpContext http, ManageInbox manage, Guid? channel_id, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => manage.ListAsync(http.Actor(), channel_id, page, ct)).ToHttpAsync())
            .RequireScope("messages:read").Describe("listInbox", "List messages that were taken down under load and are not stored yet.").Produces<Page<InboxView>>();
        inbox.MapPost("/{id:guid}/retry", async (HttpContext http, ManageInbox manage, Guid id, CancellationToken ct) =>
                (await manage.RetryAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("messages:write").Describe("retryInboxMessage", "Try to store a message again.").Produces<InboxView>();
        inbox.MapDelete("/{id:guid}", async (HttpContext http, ManageInbox manage, Guid id, CancellationToken ct) =>
                (await manage.DiscardAsync(http.Actor(), id, ct)).Match(_ => Results.NoContent(), problem => problem.ToHttp()))
            .RequireScope("messages:write").Describe("discardInboxMessage", "Give up a message that cannot be stored.").Produces(StatusCodes.Status204NoContent);
    }

    private static Task<IResult> ListAsync<T>(int? limit, string? cursor, string? status, string[] statuses, Func<PageRequest, Task<Page<T>>> read)
    {
        var page = new Validation().OneOf("status", status, required: false, statuses).Problem is { } problem ? problem : PageRequest.Parse(limit, cursor);
        return page.ThenAsync(read).ToHttpAsync();
    }

    private static async Task<IResult> DownloadAsync(HttpContext http, MessageLists lists, Guid id, CancellationToken ct)
    {
        if (await lists.AttachmentAsync(http.Actor(), id, ct) is not { } file)
        {
            return Problem.NotFound("attachment").ToHttp();
        }

        // A stranger sent it: it is saved, never shown, whatever it claims to be.
        http.Response.Headers.XContentTypeOptions = "nosniff";
        http.Response.Headers.ContentSecurityPolicy = "default-src 'none'; sandbox";
        return Results.File(file.Content, "application/octet-stream", file.FileName);
    }
}
