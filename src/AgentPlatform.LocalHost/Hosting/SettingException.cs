namespace AgentPlatform.LocalHost.Hosting;

/// <summary>A missing or bad setting. The message is the one line the operator sees.</summary>
internal sealed class SettingException(string message) : Exception(message);
