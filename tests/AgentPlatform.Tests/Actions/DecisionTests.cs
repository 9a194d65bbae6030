using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Tests.Actions;

/// <summary>What the action engine decides without asking anybody.</summary>
public sealed class DecisionTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 4, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [Behaviour("brain-priority-mapping")]
    [InlineData("low", 2)]
    [InlineData("normal", 5)]
    [InlineData("high", 8)]
    [InlineData("critical", 10)]
    public void Registry_priorities_have_fixed_places_in_the_queue(string word, short number) => Assert.Equal(number, QueuePriority.Of(word));

    [Theory]
    [InlineData(BackoffStrategy.Exponential, new[] { 2, 4, 8, 16, 32, 60, 60 })]
    [InlineData(BackoffStrategy.Linear, new[] { 2, 4, 6, 8, 10, 12, 14 })]
    [InlineData(BackoffStrategy.Fixed, new[] { 2, 2, 2, 2, 2, 2, 2 })]
    [InlineData(BackoffStrategy.None, new[] { 0, 0, 0, 0, 0, 0, 0 })]
    public void Delays_follow_the_strategy_up_to_the_longest(BackoffStrategy strategy, int[] seconds)
    {
        var policy = new RetryPolicy(100, strategy, 2, 60, ErrorKind.Transient);

        Assert.Equal(seconds, Enumerable.Range(1, 7).Select(n => (int)(policy.Next(n, ErrorKind.Timeout, Now)!.Value - Now).TotalSeconds));
        Assert.True(policy.Next(99, ErrorKind.Timeout, Now) - Now <= TimeSpan.FromMinutes(60 * 24));
    }

    [Theory]
    [InlineData(BackoffStrategy.Fixed, 0.0, 1.0, 4.0)]
    [InlineData(BackoffStrategy.Fixed, 0.5, 0.0, 4.0)]
    [InlineData(BackoffStrategy.Fixed, 0.5, 1.0, 2.0)]
    [InlineData(BackoffStrategy.Linear, 0.25, 1.0, 6.0)]
    [InlineData(BackoffStrategy.Exponential, 0.5, 0.5, 6.0)]
    [InlineData(BackoffStrategy.None, 1.0, 0.5, 0.0)]
    public void Chance_shortens_a_delay_by_at_most_its_jitter(BackoffStrategy strategy, double jitter, double random, double seconds) =>
        Assert.Equal(seconds, new RetryPolicy(5, strategy, 4, 60, ErrorKind.Transient, jitter).Delay(2, random).TotalSeconds);

    [Theory]
    [InlineData("""{"format":"email"}""", "\"ann@x.test\"", null)]
    [InlineData("""{"format":"email"}""", "\"ann\"", "That does not look like an e-mail address. What is the v?")]
    [InlineData("""{"format":"uri"}""", "\"ftp://x.test/a\"", null)]
    [InlineData("""{"format":"uri"}""", "\"/just/a/path\"", "The v must be a full address, such as https://example.com/.")]
    [InlineData("""{"format":"date"}""", "\"2025-02-29\"", "I could not read that as a date. What is the v?")]
    [InlineData("""{"format":"date-time"}""", "\"2025-01-31T09:30:00+05:30\"", null)]
    [InlineData("""{"format":"date-time"}""", "\"2025-01-31T09:30:00\"", "The v must be a date with time and offset, such as 2025-01-31T09:30:00Z.")]
    [InlineData("""{"format":"uuid"}""", "\"018f2b1e-0000-7000-8000-000000000000\"", null)]
    [InlineData("""{"format":"uuid"}""", "\"7\"", "The v must be an id of the form 00000000-0000-0000-0000-000000000000.")]
    [InlineData("""{"format":"phone"}""", "\"12\"", "That does not look like a phone number. Please include the country code.")]
    [InlineData("""{"type":"array"}""", "\"ann\"", "The v must be a list.")]
    [InlineData("""{"type":"array","min_items":2,"max_items":3}""", "[1]", "The v must have 2 to 3 entries.")]
    [InlineData("""{"type":"array","max_items":1}""", "[1,2]", "The v must have at most 1 entries.")]
    [InlineData("""{"type":"array","max_items":1}""", "[{\"any\":1}]", null)]
    [InlineData("""{"type":"array","items":{"format":"email"}}""", "[\"ann@x.test\",\"bob\"]", "That does not look like an e-mail address. What is the v entry 2?")]
    [InlineData("""{"type":"array","items":{"type":"integer","minimum":1,"message":"At least 1."}}""", "[1,0]", "Entry 2: At least 1.")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"message":"Numbers, please."}""", "[\"x\"]", "Numbers, please.")]
    [Behaviour("brain-params-validation")]
    public void Lists_and_formats_are_checked_each_with_its_message(string rule, string value, string? message) =>
        Assert.Equal(message, Parameters.Error("v", Json.Read<ParameterRule>(JsonDocument.Parse(rule).RootElement), JsonDocument.Parse(value).RootElement));

    [Fact]
    public void A_list_written_as_text_becomes_one()
    {
        var action = new ActionDefinition { ParamsRequired = Json.Of(new[] { "guests" }), ParamValidation = Json.Of(new { guests = new { type = "array" } }) };
        Assert.Equal("""{"guests":["ann","bob","cid"]}""", Parameters.Merge(action, Parameters.None, Json.Of(new { guests = "ann, bob;\ncid," })).GetRawText());
    }

    [Theory]
    [InlineData("""{"type":"integer","format":"uuid"}""")]
    [InlineData("""{"format":"zip"}""")]
    [InlineData("""{"type":"string","max_items":3}""")]
    [InlineData("""{"type":"array","min_items":4,"max_items":3}""")]
    [InlineData("""{"type":"array","max_items":501}""")]
    public void A_rule_that_contradicts_itself_is_refused(string rule) =>
        Assert.Contains("param_validation.a", RegistryRules.Errors(With(rule)).Keys);

    [Fact]
    public void The_rule_of_a_lists_elements_is_checked_like_any_other() =>
        Assert.Contains("param_validation.a.items", RegistryRules.Errors(With("""{"type":"array","items":{"type":"whatever"}}""")).Keys);

    [Theory]
    [InlineData("""{"param":"a"}""", "http", true)]
    [InlineData("""{"param":"a"}""", "reply", false)]
    [InlineData("""{"param":"b"}""", "http", false)]
    [InlineData("""{"every":2}""", "http", false)]
    [InlineData("""{"param":"a","every":0}""", "http", false)]
    public void For_each_names_a_list_of_an_http_action(string each, string type, bool ok) =>
        Assert.Equal(ok, !RegistryRules.Errors(With("""{"type":"array"}""") with { ExecutionType = type, ForEach = JsonDocument.Parse(each).RootElement }).ContainsKey("for_each"));

    private static ActionDefinition With(string rule) => new()
    {
        ActionId = "a",
        ActionName = "a",
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = "https://x.test/",
        ParamsOptional = Json.Of(new[] { "a", "b" }),
        ParamValidation = Json.Of(new { a = JsonDocument.Parse(rule).RootElement }),
    };

    [Fact]
    public void Only_listed_kinds_of_error_are_tried_again_and_only_so_often()
    {
        Assert.NotNull(RetryPolicy.Default.Next(2, ErrorKind.ApiError, Now));
        Assert.Null(RetryPolicy.Default.Next(3, ErrorKind.ApiError, Now));
        Assert.Null(RetryPolicy.Default.Next(1, ErrorKind.ApiRejected, Now));
    }

    [Theory]
    [InlineData("string", "x", true)]
    [InlineData("email", "ada@example.com", true)]
    [InlineData("email", "ada@example", false)]
    [InlineData("email", "Ada <ada@example.com>", false)]
    [InlineData("phone", "+1 415 555 0100", true)]
    [InlineData("phone", "12", false)]
    [InlineData("url", "https://example.com", true)]
    [InlineData("url", "javascript:alert(1)", false)]
    [InlineData("date", "2026-02-28", true)]
    [InlineData("date", "2026-02-30", false)]
    [InlineData("integer", "4", true)]
    [InlineData("integer", "4.5", false)]
    [InlineData("number", "4.5", true)]
    [InlineData("boolean", "true", true)]
    [InlineData("boolean", "maybe", false)]
    [InlineData("name", "Ada", true)]
    [InlineData("name", "R2D2", false)]
    public void Values_are_checked_by_type(string type, string value, bool ok) =>
        Assert.Equal(ok, Parameters.Error("p", new ParameterRule { Type = type }, Json.Of(value)) is null);

    [Fact]
    public void A_broken_rule_speaks_with_its_own_message()
    {
        var rule = new ParameterRule { Pattern = "^J[0-9]+$", MaxLength = 5, Message = "A job id looks like J42." };

        Assert.Null(Parameters.Error("job_id", rule, Json.Of("J42")));
        Assert.Equal("A job id looks like J42.", Parameters.Error("job_id", rule, Json.Of("42")));
        Assert.Equal("A job id looks like J42.", Parameters.Error("job_id", rule, Json.Of("J123456")));
        Assert.Equal("The size must be one of s, m.", Parameters.Error("size", new ParameterRule { Enum = ["s", "m"] }, Json.Of("xl")));
        Assert.Equal("The amount must be a number between 1 and 10.", Parameters.Error("amount", new ParameterRule { Type = "number", Minimum = 1, Maximum = 10 }, Json.Of(11)));
    }

    [Fact]
    public void A_template_value_never_leaves_its_place()
    {
        var data = Json.Of(new { id = "a/b?c=d&e#f", quote = "x\", \"admin\": true, \"y\": \"", header = "a\r\nX-Evil: 1", html = "<b>&", n = 3 });

        Assert.Equal("https://h/jobs/a%2Fb%3Fc%3Dd%26e%23f", Templates.Url("https://h/jobs/{{id}}", data));
        Assert.Equal("aX-Evil: 1", Templates.Header("{{header}}", data));
        Assert.Equal("<b>& 3", Templates.Text("{{html}} {{n}}", data));
        var body = Templates.Body(Json.Of(new { q = "{{quote}}", mixed = "n is {{n}}", n = "{{n}}", gone = "{{missing}}" }), data)!;
        Assert.Equal("""{"q":"x\", \"admin\": true, \"y\": \"","mixed":"n is 3","n":3,"gone":null}""", body.ToJsonString(Json.Options));
    }

    [Theory]
    [InlineData("{{{x}}}")]
    [InlineData("{{&x}}")]
    [InlineData("{{> partial}}")]
    [InlineData("{{#if x}}")]
    public void Templates_that_would_not_escape_or_do_not_compile_are_refused(string template) => Assert.NotNull(Templates.Error(template));

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    public void Dots_cannot_climb_the_path_of_a_url(string value) =>
        Assert.Throws<TemplateException>(() => Templates.Url("https://h/users/{{id}}/jobs", Json.Of(new { id = value })));

    [Theory]
    [Behaviour("brain-exec-success-criteria")]
    [InlineData(200, """{"state":"accepted"}""", null)]
    [InlineData(200, """{"state":"declined"}""", "criteria_failed")]
    [InlineData(200, """{"state":"accepted","error":{"code":7}}""", "criteria_failed")]
    [InlineData(404, "{}", "api_rejected")]
    [InlineData(429, "{}", "api_error")]
    [InlineData(503, "{}", "api_error")]
    public void The_response_is_judged_by_the_criteria_and_not_by_its_status_alone(int status, string body, string? kind)
    {
        var action = new ActionDefinition
        {
            SuccessCriteria = Json.Of(new { body = new[] { new { path = "state", one_of = new[] { "accepted", "done" } } } }),
            FailureCriteria = Json.Of(new { body = new[] { new { path = "error.code", exists = true } } }),
        };

        Assert.Equal(kind, HttpAction.Judge(action, status, JsonDocument.Parse(body).RootElement).Failure?.Kind);
    }

    [Fact]
    public void A_status_may_be_declared_a_success()
    {
        var action = new ActionDefinition { SuccessCriteria = Json.Of(new { status_codes = new[] { 404 } }) };

        Assert.Null(HttpAction.Judge(action, 404, Parameters.None).Failure);
        Assert.Equal("criteria_failed", HttpAction.Judge(action, 200, Parameters.None).Failure!.Kind);
    }

    [Fact]
    [Behaviour("brain-eligibility-user-tier", "brain-eligibility-requires-auth")]
    public void Tiers_and_authentication_decide_who_may()
    {
        var premium = new ActionDefinition { ActionName = "Export", EligibilityCriteria = Json.Of(new { user_tier = new[] { "premium", "verified" } }) };
        var known = new ActionDefinition { ActionName = "Export", EligibilityCriteria = Json.Of(new { requires_auth = true }) };

        Assert.Null(Eligibility.Decide(premium, Who(tiers: "verified"), [], SchemaReading.None));
        Assert.Equal("user_tier", Eligibility.Decide(premium, Who(tiers: "unverified"), [], SchemaReading.None)!.Reason);
        Assert.Null(Eligibility.Decide(known, Who(authenticated: true), [], SchemaReading.None));
        Assert.Equal("requires_auth", Eligibility.Decide(known, Who(), [], SchemaReading.None)!.Reason);
    }

    [Fact]
    public void Schema_dependencies_name_the_keys_that_are_missing()
    {
        var action = new ActionDefinition
        {
            ActionName = "Pay",
            EligibilityCriteria = Json.Of(new { schema_dependencies = new { profile = new { required_keys = new[] { "email", "phone" }, all_must_be = "complete" } } }),
        };
        var known = new SchemaReading(SchemaReading.Known, Json.Of(new { email = new { status = "complete" }, phone = new { status = "none" } }));

        var blocked = Decide(known);
        Assert.Equal("schema_dependencies", blocked.Reason);
        Assert.Equal("profile.phone", Assert.Single(blocked.Details.GetProperty("missing").EnumerateArray()).GetString());
        Assert.Equal("To pay I still need: phone.", blocked.Say);

        var fetching = Decide(known with { Availability = SchemaReading.Fetching, Keys = Parameters.None });
        Assert.Equal(["profile.email", "profile.phone"], Json.Read<string[]>(fetching.Details.GetProperty("missing")));
        Assert.Equal("One moment, I am looking up your profile.", fetching.Say);
        Assert.Equal("I cannot look up your profile right now. I will pay as soon as I can.", Decide(null).Say);

        Blocked Decide(SchemaReading? profile) => Eligibility.Decide(
            action, Who(), [], profile is null ? SchemaReading.None : new Dictionary<string, SchemaReading>(StringComparer.Ordinal) { ["profile"] = profile })!;
    }

    [Fact]
    public void A_registry_entry_is_refused_field_by_field()
    {
        var errors = RegistryRules.Errors(new ActionDefinition
        {
            ActionId = "Bad Id",
            ActionName = " ",
            ExecutionType = "http",
            ApiMethod = "FETCH",
            ApiEndpoint = "https://{{host}}/x",
            ApiAuthType = "bearer",
            Priority = "urgent",
            TimeoutSeconds = 0,
            ParamValidation = Json.Of(new { a = new { type = "colour", pattern = "(", extract = new[] { "no placeholder" } } }),
            RetryPolicy = Json.Of(new { retry_on_errors = new[] { "bad_luck" } }),
            ResponseTemplate = "{{{x}}}",
            Opposites = Json.Of(new[] { 1 }),
        });

        Assert.Equal(
            ["action_id", "action_name", "api_auth", "api_endpoint", "api_method", "opposites", "param_validation.a", "priority", "response_template", "retry_policy", "timeout_seconds"],
            errors.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_secret_goes_only_to_its_hosts_and_its_tenant()
    {
        var (mine, other) = (TimeProvider.System.NewId(), TimeProvider.System.NewId());
        var options = new ActionsOptions { Secrets = { ["crm"] = new ActionSecret { Value = "s3cret", Hosts = ["crm.example.com"], Tenant = mine } } };

        Assert.Equal("s3cret", options.Reveal(mine, "crm", "crm.example.com"));
        Assert.Throws<SecretException>(() => options.Reveal(mine, "crm", "evil.example.com"));
        Assert.Throws<SecretException>(() => options.Reveal(other, "crm", "crm.example.com"));
        Assert.Throws<SecretException>(() => options.Reveal(mine, "unknown", "crm.example.com"));
    }

    private static EligibilityContext Who(string tiers = "unverified", bool authenticated = false) => new([tiers], authenticated, Parameters.None);
}
