using AgentPlatform.Contacts;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schedules.Automations;

/// <summary>
/// Where a notification goes. Channel: <c>in_app</c> (to: a member's user id; null: whose task or rule it is), <c>email</c> (to: an address), <c>sms</c> (to: a
/// number in E.164) or <c>webhook</c> (to: the id of a custom channel).
/// </summary>
public sealed record NotificationChannel(string Channel, string? To)
{
    public const string InApp = "in_app", Webhook = "webhook";

    private const int Most = 20;

    /// <summary>Pure: the list as it is stored, each place once and its address in the form that contacts have it.</summary>
    /// <exception cref="ArgumentException">The list is not one that <see cref="Wrong"/> lets through.</exception>
    internal static IReadOnlyList<NotificationChannel> Normal(IEnumerable<NotificationChannel> channels) =>
        [.. channels.Select(channel => channel.Normal() ?? throw new ArgumentException($"'{channel}' is no place.", nameof(channels))).Distinct()];

    /// <summary>Pure: what is wrong with a list; null when nothing is.</summary>
    internal static string? Wrong(IReadOnlyCollection<NotificationChannel?> channels) =>
        channels.Count > Most ? $"Holds at most {Most} places."
        : channels.Any(channel => channel?.Normal() is null) ? "Each is {\"channel\", \"to\"}: in_app with a user id or null, email with an address, sms with a number in E.164, webhook with the id of a custom channel."
        : null;

    private NotificationChannel? Normal() => Channel switch
    {
        InApp when To is null => this,
        InApp or Webhook => Guid.TryParse(To, out var id) ? this with { To = id.ToString() } : null,
        ChannelAddress.Sms or ChannelAddress.Email => To is not null && ContactDirectory.TryNormalize(new ChannelAddress(Channel, To), out var at) ? this with { To = at.Address } : null,
        _ => null,
    };
}
