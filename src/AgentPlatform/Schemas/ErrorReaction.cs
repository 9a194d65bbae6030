using System.Globalization;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>Why a fetch brought no keys. Kind: of <see cref="ErrorReaction.Kinds"/>.</summary>
internal sealed record FetchFailure(string Kind, string Message, int? Status = null)
{
    /// <summary>It is known when asking again makes sense.</summary>
    internal TimeSpan? After { get; init; }
}

/// <summary>
/// Pure: what follows from a failed fetch. <c>retry</c>: it is asked again soon, and cached keys serve meanwhile; <c>use_cache</c>: they serve until
/// keys are needed after a pause; <c>fail</c>: they do not; <c>empty</c>: it was an answer, and the contact has none of the keys.
/// </summary>
internal static class ErrorReaction
{
    internal const string Retry = "retry";
    internal const string UseCache = "use_cache";
    internal const string Fail = "fail";
    internal const string Empty = "empty";

    /// <summary>The endpoint names something of the contact that is not known: the tenant's system cannot know them.</summary>
    internal const string NotIdentified = "not_identified";

    /// <summary>The answer is no JSON object.</summary>
    internal const string InvalidResponse = "invalid_response";

    internal static readonly string[] Reactions = [Retry, UseCache, Fail, Empty];

    internal static readonly string[] Kinds =
    [
        ErrorKind.Timeout, ErrorKind.NetworkError, ErrorKind.ApiError, ErrorKind.ApiRejected, ErrorKind.Configuration, ErrorKind.CircuitOpen, InvalidResponse, NotIdentified,
    ];

    /// <summary>The narrowest rule speaks: the status, its class, the kind of error, <c>default</c>; without any, what may pass is retried.</summary>
    internal static string To(SchemaDefinition schema, FetchFailure failure)
    {
        var rules = Json.Read<Dictionary<string, string>>(schema.ApiErrorHandling);
        string?[] names =
        [
            failure.Status?.ToString(CultureInfo.InvariantCulture), failure.Status is { } status ? $"{status / 100}xx" : null, failure.Kind, "default",
        ];
        return names.Select(name => name is null ? null : rules.GetValueOrDefault(name)).FirstOrDefault(reaction => reaction is not null)
            ?? failure.Kind switch
            {
                ErrorKind.Timeout or ErrorKind.NetworkError or ErrorKind.ApiError or ErrorKind.CircuitOpen => Retry,
                NotIdentified => Empty,
                _ => UseCache,
            };
    }
}
