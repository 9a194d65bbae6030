using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>An operator account. It exists once, whichever tenants it works in. LastLoginAt: with a password; seen by its user alone.</summary>
public sealed record User(
    Guid Id,
    string Email,
    string? FullName,
    string? AvatarUrl,
    string? Phone,
    string LoginMethod,
    string Role,
    string SubscriptionTier,
    string SubscriptionStatus,
    string? GstNumber,
    string? PanNumber,
    string? State,
    string PreferredLanguage,
    JsonElement Constitution,
    JsonElement NotificationSettings,
    bool OnboardingCompleted,
    bool IsActive,
    DateTimeOffset? LastLoginAt,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt);

/// <summary>What the members of a tenant see of each other.</summary>
public sealed record Colleague(Guid Id, string Email, string? FullName, string? AvatarUrl);

/// <summary>Where an account can be written to: its address, and its phone in E.164 if it gave one; and what about.</summary>
public sealed record Reachable(Guid Id, string Email, string? FullName, string? Phone, JsonElement NotificationSettings);

/// <summary>Finds and makes operator accounts. A transaction sees its own user and those who share its tenant.</summary>
public sealed class UserDirectory(TimeProvider clock)
{
    public const int MaxEmailLength = 320;

    /// <summary>The id of the account with this address; a new account when there is none. Only for transactions that may manage members.</summary>
    public Task<Guid> EnsureAsync(Transaction tx, string email, string? fullName, CancellationToken ct) =>
        tx.SingleAsync<Guid>(Sql.Ensure, [clock.NewId(), email, fullName], ct);

    public Task<User?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<User>(Sql.Find, [id], ct);

    public Task<IReadOnlyList<Colleague>> ColleaguesAsync(Transaction tx, IReadOnlyList<Guid> ids, CancellationToken ct) =>
        tx.QueryAsync<Colleague>(Sql.Colleagues, [ids.ToArray()], ct);

    /// <summary>Where active accounts can be written to.</summary>
    public Task<IReadOnlyList<Reachable>> ReachableAsync(Transaction tx, IReadOnlyList<Guid> ids, CancellationToken ct) =>
        tx.QueryAsync<Reachable>(Sql.Reachable, [ids.ToArray()], ct);

    /// <summary>One @, something on both sides, no spaces: the rest is for the mail server to say.</summary>
    public static bool IsEmail(string? text) =>
        text is { Length: >= 3 and <= MaxEmailLength } && text.IndexOf('@') is > 0 and var at && at == text.LastIndexOf('@') && at < text.Length - 1
        && !text.Any(char.IsWhiteSpace) && !text.Any(char.IsControl);

    private static class Sql
    {
        internal const string Ensure = "SELECT identity.ensure_user($1, $2, $3)";

        internal const string Find =
            """
            SELECT id, email, full_name, avatar_url, phone, login_method, role, subscription_tier, subscription_status, gst_number, pan_number,
                   state, preferred_language, constitution, notification_settings, onboarding_completed, is_active, c.last_login_at, created_at, updated_at
            FROM identity.users u LEFT JOIN identity.credentials c ON c.user_id = u.id WHERE u.id = $1
            """;

        internal const string Reachable = "SELECT id, email, full_name, phone, notification_settings FROM identity.users WHERE id = ANY ($1) AND is_active";

        internal const string Colleagues = "SELECT id, email, full_name, avatar_url FROM identity.users WHERE id = ANY ($1)";
    }
}
