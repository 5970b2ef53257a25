namespace KvFs.Node.Tests.Replication;

/// <summary>Tests of several nodes' leases in one process: beside others that keep both cores busy, leases run out.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}
