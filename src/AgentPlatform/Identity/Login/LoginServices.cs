using AgentPlatform.Audit;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Identity.Login;

internal static class LoginServices
{
    internal static IServiceCollection AddLogin(this IServiceCollection services)
    {
        services.AddOptions<LoginOptions>().BindConfiguration("Identity").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<Passwords>();
        services.AddSingleton<PasswordLinks>();
        services.AddSingleton<LoginAttempts>();
        services.AddSingleton<LoginSessions>();
        services.AddSingleton<RefreshSession>();
        services.AddSingleton<ChangePassword>();
        services.AddSingleton(p => new LogIn(
            p.GetRequiredService<Database>(), p.GetRequiredService<LoginAttempts>(), p.GetRequiredService<LoginSessions>(), p.GetRequiredService<Passwords>(),
            p.GetRequiredService<SecurityLog>()));
        services.AddSingleton(p => new ResetPassword(
            p.GetRequiredService<Database>(), p.GetRequiredService<PasswordLinks>(), p.GetRequiredService<Passwords>(), p.GetRequiredService<SecurityLog>(),
            p.GetRequiredService<TimeProvider>()));
        return services;
    }
}
