using System.ComponentModel.DataAnnotations;
using AgentPlatform.Console.Audit;
using AgentPlatform.Console.Sessions;
using AgentPlatform.Console.Shell;
using AgentPlatform.Console.Simulator;
using AgentPlatform.Identity;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Console;

public sealed class ConsoleOptions
{
    /// <summary>Hours after which an operator has to sign in again. Default 12.</summary>
    [Range(1, 24 * 30)]
    public int SessionHours { get; set; } = 12;

    /// <summary>Messages of a conversation that the simulator shows, the newest ones. Default 100.</summary>
    [Range(10, 200)]
    public int Messages { get; set; } = 100;

    /// <summary>Events of a conversation that its time line shows, the newest ones. Default 500.</summary>
    [Range(50, 5000)]
    public int Events { get; set; } = 500;
}

public static class ConsoleModule
{
    public static IServiceCollection AddConsole(this IServiceCollection services)
    {
        services.AddOptions<ConsoleOptions>().BindConfiguration("Console").ValidateDataAnnotations().ValidateOnStart();
        services.AddRazorComponents();
        services.AddAntiforgery(Guard);
        services.AddDataProtection().SetApplicationName("AgentPlatform");
        services.AddSingleton<IConfigureOptions<KeyManagementOptions>, KeysInPostgres>();
        // The keys lie beside the hashes of the API keys: whoever could read them can also insert an API key of his own.
        services.AddLogging(logging => logging.AddFilter("Microsoft.AspNetCore.DataProtection.KeyManagement.XmlKeyManager", LogLevel.Error));
        services.AddSingleton<SessionCookie>();
        services.AddSingleton<StaticAssets>();
        services.AddSingleton<ReadAudit>();
        services.AddSingleton<ReadOverview>();
        services.AddSingleton<ReadConversation>();
        services.AddSingleton<SpeakAsContact>();
        services.AddSingleton<StreamConversation>();
        services.AddSingleton<FollowChanges>();
        return services;
    }

    private static void Guard(AntiforgeryOptions options)
    {
        options.FormFieldName = "form_token";
        options.HeaderName = null;
        options.SuppressXFrameOptionsHeader = true;
        options.Cookie.Name = "agentplatform_form";
        options.Cookie.HttpOnly = true;
        options.Cookie.SameSite = SameSiteMode.Strict;
        options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
    }

    /// <summary>One key ring for all hosts of a database, which outlives them.</summary>
    private sealed class KeysInPostgres(DataProtectionKeys keys) : IConfigureOptions<KeyManagementOptions>
    {
        public void Configure(KeyManagementOptions options) => options.XmlRepository = keys;
    }
}
