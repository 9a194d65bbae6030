using AgentPlatform.Events;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Contacts;

public static class ContactsModule
{
    public static IServiceCollection AddContacts(this IServiceCollection services)
    {
        services.AddSingleton<ProfileFields>();
        services.AddSingleton<Consents>();
        services.AddSingleton<Priorities>();
        services.AddSingleton(p => new ContactDirectory(
            p.GetRequiredService<TimeProvider>(), p.GetRequiredService<ProfileFields>(), p.GetRequiredService<Consents>(), p.GetRequiredService<Priorities>()));
        return services;
    }
}
