namespace AgentPlatform.Kernel;

/// <summary>
/// An expected refusal. <see cref="Code"/> is stable and documented; <see cref="Status"/> is the HTTP status it becomes
/// (RFC 9457). Neither the title nor the detail ever holds a secret.
/// </summary>
public sealed record Problem(string Code, int Status, string Title, string? Detail = null)
{
    /// <summary>Messages per field, for <see cref="Invalid(IReadOnlyDictionary{string, string[]})"/>.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>How long the caller should wait, sent as Retry-After.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static Problem BadRequest(string code, string title, string? detail = null) => new(code, 400, title, detail);

    public static Problem Invalid(IReadOnlyDictionary<string, string[]> errors) =>
        new("validation_failed", 400, "One or more fields are invalid.") { Errors = errors };

    public static Problem Invalid(string field, string message) =>
        Invalid(new Dictionary<string, string[]>(StringComparer.Ordinal) { [field] = [message] });

    public static Problem Unauthorized(string code = "unauthorized", string title = "The credentials are missing or not valid.") => new(code, 401, title);

    public static Problem Forbidden(string code = "forbidden", string title = "This is not allowed with these credentials.") => new(code, 403, title);

    public static Problem NotFound(string what) => new($"{what}_not_found", 404, $"There is no such {what.Replace('_', ' ')}.");

    public static Problem Conflict(string code, string title, string? detail = null) => new(code, 409, title, detail);

    public static Problem Gone(string code, string title) => new(code, 410, title);

    public static Problem PreconditionFailed() => new("precondition_failed", 412, "The resource has changed since it was read.");

    public static Problem TooLarge(string code = "payload_too_large", string title = "The request body is too large.") => new(code, 413, title);

    public static Problem UnsupportedMediaType(string detail) => new("unsupported_media_type", 415, "The content type is not supported.", detail);

    public static Problem Unprocessable(string code, string title, string? detail = null) => new(code, 422, title, detail);

    public static Problem TooManyRequests(TimeSpan retryAfter) =>
        new("rate_limited", 429, "Too many requests.") { RetryAfter = retryAfter };
}
