using AgentPlatform.Actions.Registry;

namespace AgentPlatform.Agents;

/// <summary>Templates that authors write for turns to say.</summary>
internal static class Writing
{
    /// <summary>Null when it can be said. A helper that is not there shows only when the template is filled in, so that is tried, with nothing.</summary>
    internal static string? Error(string template)
    {
        try
        {
            Templates.Text(template, Parameters.None);
            return null;
        }
        catch (TemplateException e)
        {
            return e.Message;
        }
    }
}
