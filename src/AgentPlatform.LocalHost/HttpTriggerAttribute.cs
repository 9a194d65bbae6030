namespace AgentPlatform.LocalHost;

/// <summary>Runs the function for HTTP requests on its route.</summary>
public sealed class HttpTriggerAttribute : TriggerBindingAttribute
{
    /// <summary>Every method, level <see cref="AuthorizationLevel.Function"/>.</summary>
    public HttpTriggerAttribute() => AuthLevel = AuthorizationLevel.Function;

    /// <summary>The given methods. As in the official attribute, this overload leaves the level at <see cref="AuthorizationLevel.Anonymous"/>.</summary>
    public HttpTriggerAttribute(params string[] methods) => Methods = methods;

    /// <summary>Every method at the given level.</summary>
    public HttpTriggerAttribute(AuthorizationLevel authLevel) => AuthLevel = authLevel;

    /// <summary>The given methods at the given level.</summary>
    public HttpTriggerAttribute(AuthorizationLevel authLevel, params string[] methods)
    {
        AuthLevel = authLevel;
        Methods = methods;
    }

    /// <summary>Route template below the route prefix of host.json; the function's name when null.</summary>
    public string? Route { get; set; }

    /// <summary>Methods answered; every method when null or empty.</summary>
    public string[]? Methods { get; }

    /// <summary>The key a request must present.</summary>
    public AuthorizationLevel AuthLevel { get; }
}

/// <summary>Which key a request must present in <c>x-functions-key</c> or <c>code</c>.</summary>
public enum AuthorizationLevel
{
    /// <summary>No key.</summary>
    Anonymous,

    /// <summary>A signed-in user; the Functions host no longer supports it and neither does this one.</summary>
    User,

    /// <summary>The function's own key, a host key or the master key.</summary>
    Function,

    /// <summary>A key of a Functions extension; this host has none, so only the master key opens it.</summary>
    System,

    /// <summary>The master key.</summary>
    Admin,
}
