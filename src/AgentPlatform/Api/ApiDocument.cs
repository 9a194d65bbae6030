using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace AgentPlatform.Api;

/// <summary>The OpenAPI 3.1 document at <c>/api/openapi.json</c>: what the endpoints do not say themselves.</summary>
internal static class ApiDocument
{
    internal const string Name = "v1";
    private const string SchemeName = "api_key";
    private const string ProblemName = "Problem";

    /// <summary>Refusals any operation may answer with.</summary>
    private static readonly (string Status, string Description)[] Refusals =
    [
        ("400", "The request is malformed or a field is invalid."),
        ("401", "The API key or access token is missing or not valid."),
        ("403", "The key's scopes or its user's role do not allow this."),
        ("429", "Too many requests; Retry-After says when to come back."),
    ];

    /// <summary>Refusals of what asks for no key: the address is the permission, and ends.</summary>
    private static readonly (string Status, string Description)[] PublicRefusals =
    [
        Refusals[0],
        ("410", "The time to answer is over."),
    ];

    internal static void Configure(OpenApiOptions options)
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.ShouldInclude = api => api.RelativePath?.StartsWith("api/v1/", StringComparison.Ordinal) == true;
        options.AddDocumentTransformer(DescribeAsync);
        options.AddOperationTransformer(CompleteAsync);
        options.AddSchemaTransformer(static (schema, _, _) =>
        {
            // A JSON array of anything says so: linters ask what is in it.
            schema.Items ??= schema.Type?.HasFlag(JsonSchemaType.Array) == true ? new OpenApiSchema() : null;
            return Task.CompletedTask;
        });
    }

    private static Task DescribeAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken ct)
    {
        document.Info = new OpenApiInfo
        {
            Title = "AgentPlatform",
            Version = "1.0.0",
            Description = "Conversational agents over SMS, e-mail and webhooks. Errors are RFC 9457 problem details with a stable code.",
            Contact = new OpenApiContact { Name = "AgentPlatform contributors", Url = new Uri("https://github.com/agentplatform") },
            License = new OpenApiLicense { Name = "Apache-2.0", Identifier = "Apache-2.0" },
        };
        document.Servers = [new OpenApiServer { Url = "/", Description = "This host" }];
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes ??= new Dictionary<string, IOpenApiSecurityScheme>(StringComparer.Ordinal);
        document.Components.SecuritySchemes[SchemeName] = new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = "bearer",
            Description = "An API key, or the access token of a session: `Authorization: Bearer ap_…`.",
        };
        document.Components.Schemas ??= new Dictionary<string, IOpenApiSchema>(StringComparer.Ordinal);
        document.Components.Schemas[ProblemName] = ProblemSchema();
        // For every operation but the public ones, which clear it.
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(SchemeName, document)] = [] }];
        foreach (var tag in document.Tags ?? new HashSet<OpenApiTag>())
        {
            tag.Description ??= $"Operations on {tag.Name?.ToLowerInvariant()}.";
        }

        return Task.CompletedTask;
    }

    private static Task CompleteAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken ct)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var isPublic = metadata.OfType<PublicEndpoint>().Any();
        var checksVersion = metadata.OfType<ChecksVersion>().Any();
        var scope = metadata.OfType<RequiredScope>().LastOrDefault()?.Scope;
        operation.Description ??= scope is null ? operation.Summary : $"{operation.Summary} Needs the scope `{scope}`.";
        operation.Responses ??= [];
        operation.Security = isPublic ? [] : null;
        foreach (var (status, description) in (isPublic ? PublicRefusals : Refusals).Concat(SpecificRefusals(context.Description, checksVersion)))
        {
            operation.Responses.TryAdd(status, new OpenApiResponse
            {
                Description = description,
                Content = new Dictionary<string, OpenApiMediaType>(StringComparer.Ordinal)
                {
                    ["application/problem+json"] = new() { Schema = new OpenApiSchemaReference(ProblemName, context.Document) },
                },
            });
        }

        if (context.Description.HttpMethod == "POST" && !isPublic)
        {
            AddHeader(operation, "Idempotency-Key", "Makes a repetition of the request answer as the first one did.");
        }

        if (checksVersion)
        {
            AddHeader(operation, "If-Match", "The ETag of the version to change; without it any version is changed.");
        }

        return Task.CompletedTask;
    }

    private static IEnumerable<(string Status, string Description)> SpecificRefusals(ApiDescription endpoint, bool checksVersion)
    {
        if (endpoint.RelativePath?.Contains('{', StringComparison.Ordinal) == true)
        {
            yield return ("404", "There is no such resource in this tenant.");
        }

        if (endpoint.HttpMethod is "POST" or "PUT" or "PATCH" or "DELETE")
        {
            yield return ("409", "The resource's state does not allow this, or the same request is being carried out.");
        }

        if (endpoint.HttpMethod == "POST")
        {
            yield return ("422", "The Idempotency-Key was used for another request.");
        }

        if (checksVersion)
        {
            yield return ("412", "The resource has changed since it was read.");
        }
    }

    private static void AddHeader(OpenApiOperation operation, string name, string description)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = name,
            In = ParameterLocation.Header,
            Description = description,
            Schema = new OpenApiSchema { Type = JsonSchemaType.String },
        });
    }

    private static OpenApiSchema ProblemSchema() => new()
    {
        Type = JsonSchemaType.Object,
        Description = "RFC 9457 problem details.",
        Required = new HashSet<string>(StringComparer.Ordinal) { "type", "title", "status", "code" },
        Properties = new Dictionary<string, IOpenApiSchema>(StringComparer.Ordinal)
        {
            ["type"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["title"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer },
            ["code"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "Stable; decide by it, not by the title." },
            ["detail"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["instance"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["request_id"] = new OpenApiSchema { Type = JsonSchemaType.String },
            ["errors"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                Description = "Messages per field.",
                AdditionalProperties = new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = JsonSchemaType.String } },
            },
        },
    };
}
