using Xunit.Sdk;

namespace AgentPlatform.Tests;

/// <summary>Names the behaviours of the seed documents that a test proves; also a trait to filter by.</summary>
[TraitDiscoverer("AgentPlatform.Tests.BehaviourDiscoverer", "AgentPlatform.Tests")]
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class, AllowMultiple = true)]
public sealed class BehaviourAttribute(params string[] ids) : Attribute, ITraitAttribute
{
    public IReadOnlyList<string> Ids { get; } = ids;
}

public sealed class BehaviourDiscoverer : ITraitDiscoverer
{
    public IEnumerable<KeyValuePair<string, string>> GetTraits(Xunit.Abstractions.IAttributeInfo traitAttribute) =>
        traitAttribute.GetConstructorArguments().OfType<IEnumerable<object>>().SelectMany(ids => ids)
            .Select(id => KeyValuePair.Create("Behaviour", (string)id));
}
