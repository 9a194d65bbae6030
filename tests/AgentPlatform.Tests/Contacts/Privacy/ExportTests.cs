using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Contacts.Privacy;

public sealed class ExportTests : IAsyncLifetime
{
    private TestApi _api = null!;

    public async Task InitializeAsync() => _api = await Person.StageAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task An_export_holds_every_row_that_names_the_contact_in_any_table_and_no_row_of_anybody_else()
    {
        var person = await Person.MeetAsync(_api);
        var other = (await _api.PostAsync("/api/v1/contacts", new { first_name = "Somebodyelse" })).Json.GetProperty("id").GetGuid();

        var export = (await _api.GetAsync($"/api/v1/contacts/{person.Id}/export")).Json;

        Assert.Equal(person.Id, export.GetProperty("contact").GetProperty("id").GetGuid());
        Assert.Equal([person.MergedId], export.GetProperty("merged_contact_ids").EnumerateArray().Select(i => i.GetGuid()));
        var kept = export.GetProperty("kept");
        foreach (var (table, rows) in await Person.TracesAsync(_api, _api.Tenant.TenantId))
        {
            var shown = kept.GetProperty(table).EnumerateArray().Count(row => Person.Marks.Any(m => row.GetRawText().Contains(m, StringComparison.OrdinalIgnoreCase)));
            Assert.True(rows <= shown, $"{table}: {shown} of {rows}");
        }

        Assert.DoesNotContain(other.ToString(), export.GetRawText());
        Assert.DoesNotContain("token_hash", export.GetRawText());
        Assert.Equal(Person.Secret, System.Text.Encoding.UTF8.GetString(kept.GetProperty("channels.inbound_attachments")[0].GetProperty("content_base64").GetBytesFromBase64()));
        Assert.Equal(25, kept.GetProperty("credits.credit_events")[0].GetProperty("amount").GetInt32());
        Assert.Equal(_api.Platform.Services.GetServices<IKeepsPersonalData>().Sum(m => m.Kept.Count), kept.EnumerateObject().Count());
        Assert.Equal(1, (await _api.GetAsync("/api/v1/security-audit-log?action=contact.export")).Json.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task What_is_longer_than_a_page_is_exported_whole_and_in_order()
    {
        var person = await Person.MeetAsync(_api);
        await _api.Platform.Postgres.ScalarAsync<long>(
            """
            WITH written AS (
                INSERT INTO conversations.messages (tenant_id, id, conversation_id, contact_id, role, direction, content)
                SELECT $1, schedules.new_id(), $2, $3, 'user', 'inbound', 'long ' || n FROM generate_series(1, 450) AS n RETURNING 1)
            SELECT count(*) FROM written
            """, _api.Tenant.TenantId, person.ConversationId, person.Id);

        var messages = (await _api.GetAsync($"/api/v1/contacts/{person.MergedId}/export")).Json.GetProperty("kept").GetProperty("conversations.messages").EnumerateArray().ToList();

        Assert.Equal(450, messages.Count(m => m.GetProperty("content").GetString()!.StartsWith("long ", StringComparison.Ordinal)));
        Assert.Equal(messages.Count, messages.Select(m => m.GetProperty("id").GetGuid()).Distinct().Count());
    }

    [Fact]
    public async Task There_is_nothing_to_export_of_nobody() =>
        Assert.Equal(404, (await _api.GetAsync("/api/v1/contacts/01000000-0000-7000-8000-000000000001/export")).Status);
}
