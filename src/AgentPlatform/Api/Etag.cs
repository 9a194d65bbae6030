using System.Globalization;
using System.Reflection;
using AgentPlatform.Kernel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Api;

/// <summary>
/// Versions of resources. The tag is the row's <c>updated_at</c> to the microsecond: rows change it by trigger, and two changes of
/// one row are two transactions that wait for each other.
/// </summary>
public static class Etag
{
    public static EntityTagHeaderValue Of(DateTimeOffset updatedAt) =>
        new($"\"{(updatedAt.UtcTicks / TimeSpan.TicksPerMicrosecond).ToString("x", CultureInfo.InvariantCulture)}\"");

    internal static bool ClientHas(HttpRequest request, EntityTagHeaderValue etag) =>
        request.GetTypedHeaders().IfNoneMatch.Any(known => known.Equals(EntityTagHeaderValue.Any) || known.Compare(etag, useStrongComparison: false));
}

/// <summary>
/// The versions a change may be applied to; without the header any version will do. A handler that takes one hands it to the use case, which
/// compares it with the row it has locked. Taking it documents the header, so none is promised that nobody checks.
/// </summary>
public readonly record struct IfMatch(IList<EntityTagHeaderValue>? Tags) : IEndpointParameterMetadataProvider
{
    public static ValueTask<IfMatch> BindAsync(HttpContext http) => new(new IfMatch(http.Request.GetTypedHeaders().IfMatch));

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder) => builder.Metadata.Add(new ChecksVersion());

    /// <summary>No condition: for callers that are not HTTP.</summary>
    public static IfMatch Any => default;

    /// <summary>Null when the change may go ahead; else the 412.</summary>
    public Problem? Check(DateTimeOffset updatedAt)
    {
        if (Tags is not { Count: > 0 })
        {
            return null;
        }

        var current = Etag.Of(updatedAt);
        return Tags.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(current, useStrongComparison: true)) ? null : Problem.PreconditionFailed();
    }
}

/// <summary>Marks an endpoint that refuses to change another version than the caller's.</summary>
internal sealed record ChecksVersion;
