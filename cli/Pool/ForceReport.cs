namespace KvFs.Cli.Pool;

/// <summary>A shard that began anew.</summary>
/// <param name="Node">Whose copy it is.</param>
/// <param name="Loss">As it stands in the map.</param>
internal sealed record ForceReport(ushort Shard, string Node, PoolLossReport Loss);
