using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace AgentPlatform.Contacts.Privacy;

public sealed class ContactsOptions
{
    /// <summary>
    /// Minutes between the first look and the last one of an erasure: what had begun before it, and may still write, is over by then. Default 20, which is longer
    /// than any turn.
    /// </summary>
    [Range(0, 1440)]
    public int ErasureSettleMinutes { get; set; } = 20;
}

/// <summary>
/// That a contact is erased, and how far it has come. Status: <c>accepted</c>, <c>erasing</c>, <c>settling</c>, <c>completed</c>, or <c>failed</c>, from where
/// another request goes on. RowsErased: rows by table. Nothing here says who the contact was.
/// </summary>
internal sealed record Erasure
{
    public required Guid Id { get; init; }

    public required Guid ContactId { get; init; }

    /// <summary>The contact, and those that were merged into it.</summary>
    public required Guid[] ContactIds { get; init; }

    public required string Status { get; init; }

    public Guid RequestedBy { get; init; }

    public JsonElement RowsErased { get; init; }

    /// <summary>Channels on which the contact had opted out: hashes of the addresses keep it.</summary>
    public string[] OptOutsKept { get; init; } = [];

    public string? Error { get; init; }

    public DateTimeOffset RequestedAt { get; init; }

    public DateTimeOffset? SettlingFrom { get; init; }

    public DateTimeOffset? CompletedAt { get; init; }
}
