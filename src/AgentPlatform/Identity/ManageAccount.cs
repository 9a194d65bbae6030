using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Identity;

/// <summary>What to change of one's own account; null leaves a field as it is. <see cref="Preferences"/> says what constitution and notification settings hold.</summary>
public sealed record ChangeAccount(
    string? FullName,
    string? AvatarUrl,
    string? Phone,
    string? GstNumber,
    string? PanNumber,
    string? State,
    string? PreferredLanguage,
    JsonElement? Constitution,
    JsonElement? NotificationSettings);

/// <summary>The business a user works for, as told when it started.</summary>
public sealed record BusinessProfile(
    string? CompanyName,
    string? Industry,
    string? MonthlyRevenue,
    string? EmployeeCount,
    string? Website,
    string? Phone,
    JsonElement? Goals,
    JsonElement? CurrentTools,
    string? ReferralSource,
    string? Notes,
    DateTimeOffset? CreatedAt,
    DateTimeOffset? UpdatedAt);

/// <summary>A user's own account. Handing in the business profile completes the onboarding; closing the account refuses all its keys.</summary>
internal sealed partial class ManageAccount(Database database, UserDirectory users)
{
    internal async Task<Result<User>> FindAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await users.FindAsync(tx, actor.UserId, ct)).OrNotFound("user");
    }

    internal async Task<Result<User>> ChangeAsync(Actor actor, ChangeAccount change, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(change) is { } problem)
        {
            return problem;
        }

        var phone = change.Phone is null || !PhoneNumber.TryNormalize(change.Phone, out var e164) ? null : e164;
        return await WriteAsync(actor, ifMatch, tx => tx.Post(
            Sql.Change, actor.UserId, change.FullName?.Trim(), change.AvatarUrl, phone, change.GstNumber, change.PanNumber, change.State,
            change.PreferredLanguage, Json.Param(change.Constitution), Json.Param(change.NotificationSettings)), refuse: null, ct);
    }

    /// <summary>From the commit on every key of the user is refused, in every tenant. No tenant is left without an owner who can act.</summary>
    internal Task<Result<User>> CloseAsync(Actor actor, IfMatch ifMatch, CancellationToken ct) =>
        WriteAsync(actor, ifMatch, tx => tx.Post(Sql.Close, actor.UserId), RefuseLastOwnerAsync, ct);

    internal async Task<Result<BusinessProfile>> FindProfileAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await tx.FindAsync<BusinessProfile>(Sql.FindProfile, [actor.UserId], ct)).OrNotFound("profile");
    }

    internal async Task<Result<BusinessProfile>> SaveProfileAsync(Actor actor, BusinessProfile profile, CancellationToken ct)
    {
        if (Check(profile) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        tx.Post(
            Sql.SaveProfile, actor.UserId, profile.CompanyName, profile.Industry, profile.MonthlyRevenue, profile.EmployeeCount, profile.Website,
            profile.Phone, Json.Param(profile.Goals), Json.Param(profile.CurrentTools), profile.ReferralSource, profile.Notes);
        tx.Post(Sql.CompleteOnboarding, actor.UserId);
        var saved = await tx.SingleAsync<BusinessProfile>(Sql.FindProfile, [actor.UserId], ct);
        await tx.CommitAsync(ct);
        return saved;
    }

    private static async Task<Problem?> RefuseLastOwnerAsync(Transaction tx, CancellationToken ct) =>
        await tx.SingleAsync<bool>(Sql.IsLastOwner, [], ct)
            ? Problem.Conflict("last_owner", "The account is the last owner of a tenant: make another member its owner first, or delete it.")
            : null;

    private async Task<Result<User>> WriteAsync(
        Actor actor, IfMatch ifMatch, Action<Transaction> write, Func<Transaction, CancellationToken, Task<Problem?>>? refuse, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        await tx.FindAsync<Guid>(Sql.Lock, [actor.UserId], ct);
        if (await users.FindAsync(tx, actor.UserId, ct) is not { } before)
        {
            return Problem.NotFound("user");
        }

        if ((ifMatch.Check(before.UpdatedAt) ?? (refuse is null ? null : await refuse(tx, ct))) is { } problem)
        {
            return problem;
        }

        write(tx);
        var after = await users.FindAsync(tx, actor.UserId, ct);
        await tx.CommitAsync(ct);
        return after!;
    }

    private static Problem? Check(ChangeAccount change) =>
        new Validation()
            .Text("full_name", change.FullName, 255)
            .Check("avatar_url", change.AvatarUrl is null || (Uri.TryCreate(change.AvatarUrl, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttps && change.AvatarUrl.Length <= 2000), "Must be an https address.")
            .Check("phone", change.Phone is null || PhoneNumber.TryNormalize(change.Phone, out _), "Must be an international number, like +14155550100.")
            .Check("gst_number", change.GstNumber is null || Gstin().IsMatch(change.GstNumber), "Must be a GSTIN of 15 characters.")
            .Check("pan_number", change.PanNumber is null || Pan().IsMatch(change.PanNumber), "Must be a PAN of 10 characters.")
            .Text("state", change.State, 100)
            .Check("preferred_language", change.PreferredLanguage is null || Language().IsMatch(change.PreferredLanguage), "Must be a language tag, like en or pt-BR.")
            .MustBeObject("constitution", change.Constitution)
            .Check("constitution", Preferences.WrongConstitution(change.Constitution) is null, Preferences.WrongConstitution(change.Constitution) ?? "")
            .MustBeObject("notification_settings", change.NotificationSettings)
            .Check("notification_settings", Preferences.WrongNotifications(change.NotificationSettings) is null, Preferences.WrongNotifications(change.NotificationSettings) ?? "")
            .Problem;

    private static Problem? Check(BusinessProfile profile) =>
        new Validation()
            .Text("company_name", profile.CompanyName, 255)
            .Text("industry", profile.Industry, 100)
            .Text("monthly_revenue", profile.MonthlyRevenue, 50)
            .Text("employee_count", profile.EmployeeCount, 50)
            .Text("website", profile.Website, 2000)
            .Text("phone", profile.Phone, 30)
            .Text("referral_source", profile.ReferralSource, 100)
            .Text("notes", profile.Notes, 10_000)
            .Problem;

    [GeneratedRegex(@"^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Gstin();

    [GeneratedRegex(@"^[A-Z]{5}[0-9]{4}[A-Z]\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Pan();

    [GeneratedRegex(@"^[a-z]{2,3}(-[A-Za-z0-9]{2,6})?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Language();

    private static class Sql
    {
        internal const string Lock = "SELECT id FROM identity.users WHERE id = $1 FOR UPDATE";

        internal const string Change =
            """
            UPDATE identity.users
            SET full_name = coalesce($2, full_name), avatar_url = coalesce($3, avatar_url), phone = coalesce($4, phone),
                gst_number = coalesce($5, gst_number), pan_number = coalesce($6, pan_number), state = coalesce($7, state),
                preferred_language = coalesce($8, preferred_language), constitution = coalesce($9, constitution),
                notification_settings = coalesce($10, notification_settings)
            WHERE id = $1
            """;

        internal const string Close = "UPDATE identity.users SET is_active = false WHERE id = $1";

        internal const string IsLastOwner = "SELECT identity.is_last_owner()";

        internal const string CompleteOnboarding = "UPDATE identity.users SET onboarding_completed = true WHERE id = $1 AND NOT onboarding_completed";

        internal const string FindProfile =
            """
            SELECT company_name, industry, monthly_revenue, employee_count, website, phone, goals, current_tools, referral_source, notes,
                   created_at, updated_at
            FROM identity.user_profiles WHERE user_id = $1
            """;

        internal const string SaveProfile =
            """
            INSERT INTO identity.user_profiles
                (user_id, company_name, industry, monthly_revenue, employee_count, website, phone, goals, current_tools, referral_source, notes)
            VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8::jsonb, '[]'::jsonb), coalesce($9::jsonb, '[]'::jsonb), $10, $11)
            ON CONFLICT (user_id) DO UPDATE
            SET company_name = excluded.company_name, industry = excluded.industry, monthly_revenue = excluded.monthly_revenue,
                employee_count = excluded.employee_count, website = excluded.website, phone = excluded.phone, goals = excluded.goals,
                current_tools = excluded.current_tools, referral_source = excluded.referral_source, notes = excluded.notes
            """;
    }
}
