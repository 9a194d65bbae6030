using System.Text.Json;

namespace AgentPlatform.Contacts;

/// <summary>
/// Where somebody is reached. Channel: <c>sms</c>, <c>email</c>, <c>webhook</c> or <c>web</c>. Address: E.164, a lower-cased e-mail
/// address, or the opaque id that the channel gives a person.
/// </summary>
public sealed record ChannelAddress(string Channel, string Address)
{
    public const string Sms = "sms";
    public const string Email = "email";
    public const string Webhook = "webhook";
    public const string Web = "web";

    internal static readonly string[] Channels = [Sms, Email, Webhook, Web];
}

/// <summary>
/// An end user of the tenant: the seeds' customer profile (002) with the fields of their texting user (004). Unverified contacts
/// talk to the bouncer, verified ones to the agent of <see cref="PocAgentType"/>.
/// </summary>
public sealed record Contact
{
    public required Guid Id { get; init; }

    /// <summary>The customer's id in the tenant's own system; unique in the tenant when present.</summary>
    public string? ExternalId { get; init; }

    /// <summary>E.164; unique among the tenant's living profiles.</summary>
    public string? PhoneNumber { get; init; }

    public string? Email { get; init; }

    /// <summary>What the channel calls the person, not confirmed by anybody.</summary>
    public string? DisplayName { get; init; }

    public string? FirstName { get; init; }

    public string? LastName { get; init; }

    public string? Company { get; init; }

    public string? Title { get; init; }

    public string? LinkedinUrl { get; init; }

    public bool Verified { get; init; }

    public bool Innovator { get; init; }

    public bool ExpertConnector { get; init; }

    public string[] Expertise { get; init; } = [];

    /// <summary>The agent that always serves this contact, instead of the channel's.</summary>
    public Guid? PocAgentId { get; init; }

    /// <summary>The instance of the agent that this contact was assigned to; null before the first turn, and when the instance is gone.</summary>
    public Guid? PocInstanceId { get; init; }

    /// <summary>bouncer, concierge or innovator.</summary>
    public required string PocAgentType { get; init; }

    /// <summary>Local times in <see cref="Timezone"/>; the window may span midnight.</summary>
    public TimeOnly? QuietHoursStart { get; init; }

    public TimeOnly? QuietHoursEnd { get; init; }

    /// <summary>IANA time zone.</summary>
    public string? Timezone { get; init; }

    /// <summary>When this person writes: <c>{"messages": n, "by_hour": {"9": n}}</c>, hours in the contact's time zone, else UTC.</summary>
    public JsonElement ResponsePattern { get; init; }

    /// <summary>The copy of the credit ledger's balance.</summary>
    public int CreditBalance { get; init; }

    public required string StatusLevel { get; init; }

    /// <summary>Earlier numbers: <c>[{"phone_number", "changed_at", "changed_reason"}]</c>.</summary>
    public JsonElement PhoneNumberHistory { get; init; }

    /// <summary>The profile this one was merged into; null for a living profile.</summary>
    public Guid? MergedIntoId { get; init; }

    /// <summary>The last edit (activity is none); the ETag of the contact.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }

    public DateTimeOffset? LastActiveAt { get; init; }
}

/// <summary>A value of a profile field and how it is known.</summary>
public sealed record ProfileField(
    Guid Id, string FieldName, string? FieldValue, string Source, double Confidence, bool Verified, DateTimeOffset ValidFrom, DateTimeOffset? ValidTo);

/// <summary>One address of a contact.</summary>
public sealed record ChannelIdentity(Guid Id, string Channel, string ChannelUserId, bool Verified, DateTimeOffset CreatedAt);

/// <summary>One opt-out or opt-in; the newest of a channel is in force.</summary>
public sealed record ConsentChange(string Channel, bool OptedOut, string Source, DateTimeOffset RecordedAt);

/// <summary>Something worth raising with a contact; rank 1 first. Status: active, presented or expired.</summary>
public sealed record ContactPriority(
    Guid Id, int PriorityRank, string ItemType, Guid ItemId, string? Title, decimal? ValueScore, string Status, DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt, DateTimeOffset? PresentedAt);

/// <summary>Other modules that keep rows of a contact move them when it is merged into another, in the same transaction.</summary>
public interface IContactMergeParticipant
{
    /// <summary>Why the two cannot be one, asked before anything moves; null when they can.</summary>
    Task<Kernel.Problem?> RefuseAsync(Postgres.Transaction tx, Guid from, Guid into, CancellationToken ct) => Task.FromResult<Kernel.Problem?>(null);

    /// <summary>Moves them, as the platform, which sees them all.</summary>
    Task MoveAsync(Postgres.Transaction tx, Guid from, Guid into, CancellationToken ct);
}
