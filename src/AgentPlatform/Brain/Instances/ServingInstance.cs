using AgentPlatform.Brain.Rules;
using AgentPlatform.Contacts;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy.Instances;

namespace AgentPlatform.Brain.Instances;

/// <summary>
/// Finds the instance that takes a contact's turn: the one they were assigned to while it runs in the role that answers them, else one that they are
/// assigned to now.
/// </summary>
internal sealed class ServingInstance(InstanceDirectory instances, ContactDirectory contacts)
{
    /// <summary>The turn as that instance takes it.</summary>
    internal async Task<TurnInput> ServeAsync(Transaction tx, AgentBook book, TurnInput input, CancellationToken ct)
    {
        var running = book.Instances.Where(instance => instance.AgentType == input.Role).ToList();
        var instance = running.FirstOrDefault(own => own.Id == input.Contact.PocInstanceId);
        if (instance is null)
        {
            instance = running.Count > 0 ? AgentInstance.Pick(input.Contact.Id, running) : await instances.DeployAsync(tx, input.Agent.Id, input.Role, ct);
            contacts.Assign(tx, input.Contact.Id, instance.Id);
        }

        return input with { Instance = instance, Agent = instance.Run(input.Agent), Prompt = book.Prompts.Of(instance) };
    }
}
