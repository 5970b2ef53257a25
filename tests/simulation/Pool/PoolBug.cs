namespace KvFs.Simulation.Pool;

/// <summary>Bugs that are planted in what drives the replicas, each one of the traps that the design's rules exist for.</summary>
internal enum PoolBug
{
    None,

    /// <summary>A replica acknowledges entries that it did not store.</summary>
    AcknowledgeUnstored,

    /// <summary>A process that comes back says that it is the one that was listed.</summary>
    KeepBootId,

    /// <summary>A process that comes back cuts what it does not know to be committed, and may have acknowledged.</summary>
    CutAtStart,

    /// <summary>A sync is told to be done, and was not.</summary>
    SkipSync,

    /// <summary>What the primary alone has on disk is taken for durable.</summary>
    DurableAlone,

    /// <summary>Requests are answered without a look at the lease.</summary>
    IgnoreLease,

    /// <summary>The pool map is changed without comparing.</summary>
    SwapWithoutCompare,

    /// <summary>What is not the primary's stays in a replica's log.</summary>
    KeepTail,

    /// <summary>Entries are answered before every in-sync replica has them.</summary>
    AnswerEarly,

    /// <summary>A snapshot is told to be installed, and was not.</summary>
    SkipSnapshot,

    /// <summary>A process that comes back takes what there is of a snapshot that never became whole for all of it.</summary>
    BelieveHalfSnapshot,

    /// <summary>A disk that was in sync begins anew without waiting for the others.</summary>
    StartColdAtOnce,

    /// <summary>With the entries that are forgotten it is forgotten which reigns wrote them.</summary>
    ForgetReigns,

    /// <summary>A node's clock stands still while its machine is suspended.</summary>
    StopClockInSuspend,

    /// <summary>A new primary does not know which requests were applied before it.</summary>
    ForgetRequests,

    /// <summary>A new primary goes on with ids behind those that it sees, and not behind those that were reserved.</summary>
    ReissueIds,

    /// <summary>A new primary does not know who has locks.</summary>
    ForgetLocks,

    /// <summary>Blocks are dropped before what freed them is on all disks.</summary>
    DropEarly,

    /// <summary>A transaction may name any block that its session was granted, whoever was primary when it was stored.</summary>
    TrustGrants,

    /// <summary>A copy is listed as in sync before it has all blocks.</summary>
    SkipBlocks,

    /// <summary>What a disk gives back is not compared with its checksums.</summary>
    SkipChecksums,

    /// <summary>Blocks are looked at only when somebody reads them.</summary>
    SkipScrub,

    /// <summary>Blocks that no record refers to are taken for dead, also if a session may still name them.</summary>
    DropGranted,

    /// <summary>Nobody looks for blocks that no record knows.</summary>
    SkipCompare,

    /// <summary>A refusal is answered before what it was decided on is committed.</summary>
    AnswerUncommitted,

    /// <summary>What is in the log and not applied yet is not seen by who decides next.</summary>
    DecideOnApplied,

    /// <summary>What others have set aside is given to who comes first.</summary>
    IgnoreReserved,

    /// <summary>A new primary takes what nobody has told it to hold for free.</summary>
    ForgetHolds,

    /// <summary>A new primary does not know what was opened by a request whose answer its client waits for.</summary>
    ForgetOpening,

    /// <summary>What has no name, and was held open by sessions that are over, stays for ever.</summary>
    KeepOrphans,

    /// <summary>A new primary does not know which versions clones see.</summary>
    ForgetPins,

    /// <summary>What is used is counted without what is in the log and not applied yet.</summary>
    CountApplied,
}
