using AgentPlatform.Contacts.Privacy;
using AgentPlatform.Contacts.Segments;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Contacts;

public static class ContactsModule
{
    public static IServiceCollection AddContacts(this IServiceCollection services)
    {
        services.AddSingleton<IHealthSource, ContactHealth>();
        services.AddSingleton<ProfileFields>();
        services.AddSingleton<Consents>();
        services.AddSingleton<Priorities>();
        services.AddSingleton(p => new ContactDirectory(
            p.GetRequiredService<TimeProvider>(), p.GetRequiredService<ProfileFields>(), p.GetRequiredService<Consents>(), p.GetRequiredService<Priorities>()));
        services.AddSingleton(p => new EmailProofs(p.GetRequiredService<ContactDirectory>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ReadContacts>();
        services.AddSingleton<EditContact>();
        services.AddSingleton<MergeContacts>();
        services.AddSingleton<Belongings>();
        services.AddSingleton<ContactSegments>();
        services.AddOptions<ContactsOptions>().BindConfiguration("Contacts").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>().AddSingleton<ExportContact>().AddSingleton<RequestErasure>();
        // A person of many years' talk takes longer than most work.
        services.AddWorkHandler<EraseContact>(EraseContact.Kind, kind => kind.Timeout = TimeSpan.FromMinutes(15));
        return services;
    }

    /// <summary>Under <c>/api/v1</c>: contacts and what belongs to them.</summary>
    public static IEndpointRouteBuilder MapContacts(this IEndpointRouteBuilder v1) => ContactEndpoints.MapContacts(v1);
}
