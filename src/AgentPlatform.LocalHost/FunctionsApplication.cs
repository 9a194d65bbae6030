using System.Reflection;
using AgentPlatform.LocalHost.Hosting;

namespace AgentPlatform.LocalHost;

/// <summary>Entry point of a functions app: <c>FunctionsApplication.CreateBuilder(args)</c>, as in the official isolated worker.</summary>
public static class FunctionsApplication
{
    /// <summary>A builder for the functions of the entry assembly.</summary>
    public static FunctionsApplicationBuilder CreateBuilder(string[] args)
    {
        ArgumentNullException.ThrowIfNull(args);
        var entry = Assembly.GetEntryAssembly() ?? throw new InvalidOperationException("A functions app needs a managed entry assembly.");
        return OrExit(() => new FunctionsApplicationBuilder(args, entry.GetTypes()));
    }

    // Program.cs has no place to handle a bad setting: it is the same text on Azure.
    internal static T OrExit<T>(Func<T> build)
    {
        try
        {
            return build();
        }
        catch (SettingException e)
        {
            Console.Error.WriteLine(e.Message);
            Environment.Exit(1);
            throw;
        }
    }
}
