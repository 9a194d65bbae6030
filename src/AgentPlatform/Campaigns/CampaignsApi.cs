using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Campaigns;

internal static class CampaignsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var campaigns = v1.MapGroup("/campaigns").WithTags("Campaigns");
        campaigns.MapGet("", (HttpContext http, Database database, CancellationToken ct, string? status = null, string? type = null, int? limit = null, string? cursor = null) =>
            http.PageAsync(
                database, limit, cursor, (tx, page) => CampaignStore.ListAsync(tx, status, type, page, ct),
                new Validation().OneOf("status", status, required: false, Campaign.Statuses).OneOf("type", type, required: false, Campaign.Types).Problem))
            .RequireScope("campaigns:read").Describe("listCampaigns", "Campaigns, newest first.").Produces<Page<Campaign>>();
        campaigns.MapPost("", async (HttpContext http, ManageCampaigns manage, CampaignInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(c => $"/api/v1/campaigns/{c.Id}", c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("createCampaign", "Draft a campaign.").Produces<Campaign>(201);
        campaigns.MapGet("/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => CampaignStore.FindAsync(tx, id, ct), "campaign", c => c.ChangedAt))
            .RequireScope("campaigns:read").Describe("readCampaign", "One campaign with its strategy, phases and metrics.").Produces<Campaign>();
        campaigns.MapPut("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CampaignInput body, CancellationToken ct) =>
            (await manage.ReplaceAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("replaceCampaign", "Change a campaign that is not completed.").Produces<Campaign>();
        campaigns.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("campaigns:write").Describe("deleteCampaign", "Delete a campaign that is not active; its moves stay.").Produces(StatusCodes.Status204NoContent);
        campaigns.MapPost("/{id:guid}/generate", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.GenerateAsync(http.Actor(), id, ifMatch, ct)).ToAccepted())
            .RequireScope("campaigns:write").Describe("generateCampaign", "Have strategy, phases and moves of a draft written.").Produces<Campaign>(202);
        MapSteps(campaigns);
    }

    private static void MapSteps(RouteGroupBuilder campaigns)
    {
        campaigns.MapPost("/{id:guid}/start", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.StepAsync(http.Actor(), id, CampaignStep.Start, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("startCampaign", "Start a draft.").Produces<Campaign>();
        campaigns.MapPost("/{id:guid}/pause", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.StepAsync(http.Actor(), id, CampaignStep.Pause, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("pauseCampaign", "Pause: outreach stops at its next batch.").Produces<Campaign>();
        campaigns.MapPost("/{id:guid}/resume", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.StepAsync(http.Actor(), id, CampaignStep.Resume, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("resumeCampaign", "Resume: outreach goes on where it was.").Produces<Campaign>();
        campaigns.MapPost("/{id:guid}/complete", async (HttpContext http, IfMatch ifMatch, ManageCampaigns manage, Guid id, CancellationToken ct) =>
            (await manage.StepAsync(http.Actor(), id, CampaignStep.Complete, ifMatch, ct)).ToHttp(c => c.ChangedAt))
            .RequireScope("campaigns:write").Describe("completeCampaign", "Complete a campaign for good.").Produces<Campaign>();
    }
}
