namespace KvFs.Core;

/// <summary>What a node says of its disk. Who is not <see cref="Fine"/> goes on keeping copies, but is not counted on where others
/// can be.</summary>
public enum DiskCondition
{
    Fine,

    /// <summary>It has hardly any room left for what clients write.</summary>
    Full,

    /// <summary>It has not answered a write or a sync for <see cref="ReplicationTimes.DiskPatience"/>: nobody can say whether it
    /// ever will. What waits for it to be durable would wait for as long.</summary>
    Stuck,
}
