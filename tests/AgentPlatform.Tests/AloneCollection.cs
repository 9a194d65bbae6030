namespace AgentPlatform.Tests;

/// <summary>Tests that kill hosts and servers: they run one after the other when all else is over, for leases run out on a busy machine too.</summary>
[CollectionDefinition("Alone", DisableParallelization = true)]
public sealed class AloneCollection;
