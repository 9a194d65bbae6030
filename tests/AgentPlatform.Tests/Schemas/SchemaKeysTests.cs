using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Schemas;

namespace AgentPlatform.Tests.Schemas;

/// <summary>Pure: what an answer makes of keys. The rest of the way is in <see cref="FetchTests"/>.</summary>
public sealed class SchemaKeysTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);
    private Stage _stage = null!;

    public async Task InitializeAsync() => _stage = await Stage.StartAsync();

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    [Behaviour("brain-schema-key-status")]
    public async Task A_key_is_complete_with_its_value_or_none_without_and_keeps_the_time_since_it_is_so()
    {
        _stage.Knows("ada@example.com", "0172 555", "  ");
        await _stage.DefineAsync(_stage.Profile);
        var first = (await _stage.ReadAsync()).Value.Keys;
        Assert.Equal(("complete", "ada@example.com"), (Status(first, "email"), first.GetProperty("email").GetProperty("value").GetString()));
        Assert.Equal(("none", JsonValueKind.Null), (Status(first, "phone"), first.GetProperty("phone").GetProperty("value").ValueKind));
        Assert.Equal(("none", JsonValueKind.Null), (Status(first, "nickname"), first.GetProperty("nickname").GetProperty("value").ValueKind));

        _stage.Clock.Advance(TimeSpan.FromSeconds(301));
        _stage.Knows("ada@example.com", "+14155550100");
        var second = (await _stage.ReadAsync()).Value.Keys;
        Assert.Equal("complete", Status(second, "phone"));
        Assert.Equal(Since(first, "email"), Since(second, "email"));
        Assert.True(Since(second, "phone") > Since(first, "phone"));
    }

    [Theory]
    [Behaviour("brain-schema-key-status")]
    [InlineData("email_format", null, "string", "\"ada@example.com\"", true)]
    [InlineData("email_format", null, "string", "\"ada@example\"", false)]
    [InlineData("email_format", @"^[\w\.-]+@example\.com$", "string", "\"ada@example.org\"", false)]
    [InlineData("email_format", @"^[\w\.-]+@[\w\.-]+\.\w+$", "string", "\"ada@example.org\"", true)]
    [InlineData("phone_e164", null, "string", "\"+14155550100\"", true)]
    [InlineData("phone_e164", null, "string", "\"+1 415 555 0100\"", false)]
    [InlineData("phone_e164", null, "string", "\"4155550100\"", false)]
    [InlineData(null, null, "string", "\"\"", false)]
    [InlineData(null, null, "string", "7", false)]
    [InlineData(null, null, "integer", "7", true)]
    [InlineData(null, null, "integer", "7.5", false)]
    [InlineData(null, null, "number", "7.5", true)]
    [InlineData(null, null, "boolean", "false", true)]
    [InlineData(null, null, "array", "[]", false)]
    [InlineData(null, null, "array", "[1]", true)]
    [InlineData(null, null, "object", "{}", false)]
    [InlineData(null, null, "string", "null", false)]
    public void A_value_completes_its_key_when_it_is_there_of_its_type_and_of_its_form(string? validation, string? regex, string type, string value, bool complete)
    {
        var schema = Schema([new("it", "a.0.b", type, CompletionLogic: new(Validation: validation, ValidationRegex: regex))]);

        var keys = SchemaKeys.Read(schema, Read($$"""{"a":[{"b":{{value}}}]}"""), Read("{}"), Now);

        Assert.Equal(new KeyState(complete ? "complete" : "none", null, Now), keys.Keys["it"] with { Value = null });
        Assert.Equal(complete, keys.Keys["it"].Value is not null);
        Assert.Equal("none", SchemaKeys.Read(schema, Read("""{"a":[]}"""), Read("{}"), Now).Keys["it"].Status);
    }

    [Theory]
    [Behaviour("brain-schema-completion-percent")]
    [InlineData("""{}""", "none", 0, 0, 0)]
    [InlineData("""{"x":"1"}""", "incomplete", 0, 0, 1)]
    [InlineData("""{"a":"1"}""", "incomplete", 33, 1, 0)]
    [InlineData("""{"a":"1","b":"2","x":"3"}""", "incomplete", 66, 2, 1)]
    [InlineData("""{"a":"1","b":"2","c":"3"}""", "complete", 100, 3, 0)]
    public void A_schema_is_complete_when_all_its_required_keys_are(string answer, string status, int percent, int required, int optional)
    {
        SchemaKeyDefinition[] keys = [new("a", "a", RequiredForSchema: true), new("b", "b", RequiredForSchema: true), new("c", "c", RequiredForSchema: true), new("x", "x"), new("y", "y")];

        var read = SchemaKeys.Read(Schema(keys), Read(answer), Read("{}"), Now);

        Assert.Equal((status, percent, required, 3, optional, 2), (read.Status, read.Percentage, read.RequiredComplete, read.RequiredTotal, read.OptionalComplete, read.OptionalTotal));
        Assert.Null(SchemaKeys.Read(Schema(keys) with { SchemaCompletionLogic = Json.Of(new CompletionLogic(ComputePercentage: false)) }, Read(answer), Read("{}"), Now).Percentage);
    }

    [Fact]
    [Behaviour("brain-schema-completion-percent")]
    public async Task The_counters_and_the_percentage_are_stored_with_the_state()
    {
        _stage.Knows("ada@example.com", null, "Countess");
        await _stage.DefineAsync(_stage.Profile);
        await _stage.ReadAsync();

        var row = Assert.Single(await _stage.RowsAsync());
        Assert.Equal(("incomplete", 50, 1, 2, 1, 1), (row.SchemaStatus, row.SchemaCompletionPercentage, row.RequiredKeysComplete, row.RequiredKeysTotal, row.OptionalKeysComplete, row.OptionalKeysTotal));
    }

    private static SchemaDefinition Schema(SchemaKeyDefinition[] keys) => new() { Keys = Json.Of(keys), SchemaCompletionLogic = Json.Of(new CompletionLogic()) };

    private static JsonElement Read(string json) => JsonSerializer.Deserialize<JsonElement>(json);

    private static string? Status(JsonElement keys, string name) => keys.GetProperty(name).GetProperty("status").GetString();

    private static DateTimeOffset Since(JsonElement keys, string name) => keys.GetProperty(name).GetProperty("last_updated").GetDateTimeOffset();
}
