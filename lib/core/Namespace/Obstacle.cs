namespace KvFs.Core;

/// <summary>What a driver must do before an operation that answered <see cref="Status.Busy"/> can go on.</summary>
public enum ObstacleKind : byte
{
    /// <summary>The cluster has <see cref="Limits.MaxSlices"/> delta slices: fold it.</summary>
    Fold = 1,

    /// <summary>The cluster was cut off and its records are still being removed: run <see cref="ReapCut"/> to the end.
    /// </summary>
    Cut = 2,
}

/// <summary>An obstacle, and where it is.</summary>
public readonly record struct Obstacle(ObstacleKind Kind, VNodeId Node, uint Cluster);

/// <summary>A cluster that has come to be worth folding.</summary>
/// <param name="Node">The file.</param>
/// <param name="Cluster">The cluster.</param>
/// <param name="Deltas">Its slices above the base.</param>
/// <param name="BaseRuns">Runs of its base.</param>
/// <param name="HiddenBytes">Bytes that the fold would give back.</param>
/// <param name="MappedBytes">Bytes that it would keep.</param>
public readonly record struct CrowdedCluster(
    VNodeId Node, uint Cluster, int Deltas, int BaseRuns, ulong HiddenBytes, ulong MappedBytes);
