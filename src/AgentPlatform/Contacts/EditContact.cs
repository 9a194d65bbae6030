using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Contacts;

/// <summary>
/// A JSON merge patch of a contact: members that are there are written, null clears. Fields with a history (names, company, title,
/// e-mail, LinkedIn, phone number, time zone) are written with source SYSTEM.
/// </summary>
internal sealed class EditContact(Database database, ContactDirectory contacts, EventStore events, TimeProvider clock)
{
    internal async Task<Result<Contact>> CreateAsync(Actor actor, JsonElement body, CancellationToken ct)
    {
        var patch = ContactPatch.Parse(body);
        if (!patch.IsOk)
        {
            return patch.Problem;
        }

        var id = clock.NewId();
        return await RunAsync(actor, async tx =>
        {
            tx.Post(Sql.Create, id);
            events.Append(tx, new NewEvent("contact.created", "contact", id, new { contact_id = id }));
            return await ApplyAsync(tx, id, patch.Value, ct);
        }, ct);
    }

    internal async Task<Result<Contact>> PatchAsync(Actor actor, Guid id, JsonElement body, IfMatch ifMatch, CancellationToken ct)
    {
        var patch = ContactPatch.Parse(body);
        if (!patch.IsOk)
        {
            return patch.Problem;
        }

        return await RunAsync(actor, async tx =>
        {
            if (await contacts.FindAsync(tx, id, ct) is not { } found)
            {
                return Problem.NotFound("contact");
            }

            // It may have been erased, or merged, while this waited for it.
            return await tx.FindAsync<DateTimeOffset?>(Sql.Lock, [found.Id], ct) is not { } changedAt ? Problem.NotFound("contact")
                : ifMatch.Check(changedAt) is { } stale ? stale
                : await ApplyAsync(tx, found.Id, patch.Value, ct);
        }, ct);
    }

    private async Task<Result<Contact>> RunAsync(Actor actor, Func<Transaction, Task<Result<Contact>>> work, CancellationToken ct)
    {
        try
        {
            await using var tx = database.Begin(actor);
            var result = await work(tx);
            if (result.IsOk)
            {
                await tx.CommitAsync(ct);
            }

            return result;
        }
        catch (PostgresException e) when (e.ConstraintName == "uq_profiles_external")
        {
            return Problem.Conflict("external_id_taken", "Another contact has this external id.");
        }
        catch (PostgresException e) when (e.ConstraintName == "idx_users_phone")
        {
            return Problem.Conflict("phone_number_taken", "The phone number belongs to another contact.");
        }
        catch (PostgresException e) when (e.ConstraintName == "profile_poc_agent")
        {
            return Problem.Invalid("poc_agent_id", "There is no such agent.");
        }
        catch (PostgresException e) when (e.ConstraintName == "profile_poc_instance")
        {
            return Problem.Invalid("poc_instance_id", "There is no such instance.");
        }
        catch (PostgresException e) when (e.ConstraintName == "profile_quiet_hours_are_whole")
        {
            return Problem.Invalid("quiet_hours_start", "Start and end of the quiet hours are set or cleared together.");
        }
    }

    private async Task<Result<Contact>> ApplyAsync(Transaction tx, Guid id, ContactPatch patch, CancellationToken ct)
    {
        if (patch.Columns.Count > 0)
        {
            tx.Post(Sql.Patch, id, patch.Columns);
        }

        foreach (var (name, value) in patch.Fields)
        {
            var written = await contacts.SetFieldAsync(tx, id, new FieldWrite(name, value, FieldWrite.SystemSource), ct);
            if (!written.IsOk)
            {
                return written.Problem;
            }
        }

        return (await contacts.FindAsync(tx, id, ct))!;
    }

    private static class Sql
    {
        internal const string Create = "INSERT INTO contacts.customer_profiles (tenant_id, id) VALUES (kernel.current_tenant_id(), $1)";

        internal const string Lock = "SELECT changed_at FROM contacts.customer_profiles WHERE id = $1 AND merged_into_id IS NULL AND erased_at IS NULL FOR NO KEY UPDATE";

        internal const string Patch =
            """
            UPDATE contacts.customer_profiles
            SET external_id = CASE WHEN $2::jsonb ? 'external_id' THEN $2::jsonb ->> 'external_id' ELSE external_id END,
                display_name = CASE WHEN $2::jsonb ? 'display_name' THEN $2::jsonb ->> 'display_name' ELSE display_name END,
                verified = CASE WHEN $2::jsonb ? 'verified' THEN ($2::jsonb ->> 'verified')::boolean ELSE verified END,
                innovator = CASE WHEN $2::jsonb ? 'innovator' THEN ($2::jsonb ->> 'innovator')::boolean ELSE innovator END,
                expert_connector = CASE WHEN $2::jsonb ? 'expert_connector' THEN ($2::jsonb ->> 'expert_connector')::boolean ELSE expert_connector END,
                expertise = CASE WHEN $2::jsonb ? 'expertise' THEN ARRAY(SELECT jsonb_array_elements_text($2::jsonb -> 'expertise')) ELSE expertise END,
                poc_agent_id = CASE WHEN $2::jsonb ? 'poc_agent_id' THEN ($2::jsonb ->> 'poc_agent_id')::uuid ELSE poc_agent_id END,
                poc_instance_id = CASE WHEN $2::jsonb ? 'poc_instance_id' THEN ($2::jsonb ->> 'poc_instance_id')::uuid ELSE poc_instance_id END,
                poc_agent_type = CASE WHEN $2::jsonb ? 'poc_agent_type' THEN $2::jsonb ->> 'poc_agent_type' ELSE poc_agent_type END,
                quiet_hours_start = CASE WHEN $2::jsonb ? 'quiet_hours_start' THEN ($2::jsonb ->> 'quiet_hours_start')::time ELSE quiet_hours_start END,
                quiet_hours_end = CASE WHEN $2::jsonb ? 'quiet_hours_end' THEN ($2::jsonb ->> 'quiet_hours_end')::time ELSE quiet_hours_end END,
                status_level = CASE WHEN $2::jsonb ? 'status_level' THEN $2::jsonb ->> 'status_level' ELSE status_level END,
                changed_at = clock_timestamp()
            WHERE id = $1 AND erased_at IS NULL
            """;
    }
}

/// <summary>A patch taken apart: fields with a history, and plain columns as the document that the statement reads.</summary>
internal sealed record ContactPatch(IReadOnlyDictionary<string, string?> Fields, JsonObject Columns)
{
    /// <summary>What each plain column takes: null for a fitting value, else what it must be.</summary>
    private static readonly Dictionary<string, Func<JsonElement, string?>> Checks = new(StringComparer.Ordinal)
    {
        ["external_id"] = v => Text(v, 255, nullable: true),
        ["display_name"] = v => Text(v, 255, nullable: true),
        ["verified"] = Flag,
        ["innovator"] = Flag,
        ["expert_connector"] = Flag,
        ["expertise"] = v =>
            v.ValueKind == JsonValueKind.Array && v.GetArrayLength() <= 100 && v.EnumerateArray().All(e => Text(e, 100, nullable: false) is null)
            ? null : "Must be a list of at most 100 short texts.",
        ["poc_agent_id"] = v => v.ValueKind == JsonValueKind.Null || (v.ValueKind == JsonValueKind.String && v.TryGetGuid(out _))
            ? null : "Must be the id of an agent, or null.",
        ["poc_instance_id"] = v => v.ValueKind == JsonValueKind.Null || (v.ValueKind == JsonValueKind.String && v.TryGetGuid(out _))
            ? null : "Must be the id of an agent's instance, or null.",
        ["poc_agent_type"] = v => v.ValueKind == JsonValueKind.String && v.GetString() is "bouncer" or "concierge" or "innovator"
            ? null : "Must be bouncer, concierge or innovator.",
        ["quiet_hours_start"] = Time,
        ["quiet_hours_end"] = Time,
        ["status_level"] = v => Text(v, 50, nullable: false),
    };

    internal static Result<ContactPatch> Parse(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object)
        {
            return Problem.BadRequest("invalid_body", "The body must be a JSON object.");
        }

        var fields = new Dictionary<string, string?>(StringComparer.Ordinal);
        var columns = new JsonObject();
        var errors = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (var member in body.EnumerateObject())
        {
            if (ProfileFields.Columns.TryGetValue(member.Name, out var longest))
            {
                Note(errors, member.Name, Text(member.Value, longest, nullable: true));
                fields[member.Name] = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null;
            }
            else if (Checks.TryGetValue(member.Name, out var check))
            {
                Note(errors, member.Name, check(member.Value));
                columns[member.Name] = JsonNode.Parse(member.Value.GetRawText());
            }
            else
            {
                Note(errors, member.Name, "Is not a member that can be written.");
            }
        }

        return errors.Count > 0 ? Problem.Invalid(errors) : new ContactPatch(fields, columns);
    }

    private static void Note(Dictionary<string, string[]> errors, string name, string? error)
    {
        if (error is not null)
        {
            errors[name] = [error];
        }
    }

    private static string? Text(JsonElement value, int longest, bool nullable) => value.ValueKind switch
    {
        JsonValueKind.Null when nullable => null,
        JsonValueKind.String when value.GetString()!.Trim().Length >= 1 && value.GetString()!.Length <= longest => null,
        _ => $"Must be a text of 1 to {longest} characters{(nullable ? ", or null" : "")}.",
    };

    private static string? Flag(JsonElement value) => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? null : "Must be true or false.";

    private static string? Time(JsonElement value) =>
        value.ValueKind == JsonValueKind.Null
        || (value.ValueKind == JsonValueKind.String
            && TimeOnly.TryParseExact(value.GetString(), ["HH:mm", "HH:mm:ss"], CultureInfo.InvariantCulture, DateTimeStyles.None, out _))
            ? null
            : "Must be a time of day like 21:30, or null.";
}
