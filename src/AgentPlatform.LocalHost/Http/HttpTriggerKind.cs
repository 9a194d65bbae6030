using System.Reflection;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Http;

namespace AgentPlatform.LocalHost.Http;

internal sealed class HttpTriggerKind : ITriggerKind
{
    public string Name => "httpTrigger";

    public Type Attribute => typeof(HttpTriggerAttribute);

    public ParameterReader? BindTrigger(ParameterInfo parameter) =>
        parameter.ParameterType == typeof(HttpRequest) ? static (data, _) => ((HttpContext)data.Source).Request : null;

    /// <summary>Route values by name, then query values.</summary>
    public ParameterReader? BindOther(ParameterInfo parameter)
    {
        var (name, type) = (parameter.Name!, parameter.ParameterType);
        return TextValue.CanRead(type) ? (data, _) => TextValue.Read(name, data.Named.GetValueOrDefault(name), type) : null;
    }

    internal static TriggerData Data(HttpContext http)
    {
        if (http.Request.Query.Count == 0)
        {
            return new TriggerData(http, http.Request.RouteValues);
        }

        var named = new Dictionary<string, object?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in http.Request.Query)
        {
            named[name] = value.ToString();
        }

        foreach (var (name, value) in http.Request.RouteValues)
        {
            named[name] = value;
        }

        return new TriggerData(http, named);
    }
}
