namespace KvFs.Core;

/// <summary>The search for a block that is bad on a node, or missing there, among the other nodes that have copies of its shard: one after the
/// other is asked, until one gives it.</summary>
/// <remarks>Pure, not thread safe.</remarks>
public sealed class BlockSearch
{
    /// <summary>What all that were asked so far come to. Busy: somebody who may have the block did not answer; Corrupt: who has it has it bad;
    /// NotFound: nobody has it.</summary>
    public Status Outcome { get; private set; } = Status.NotFound;

    /// <summary>Whom to ask: the primary, then the copies that count, then those that do not.</summary>
    /// <param name="reign">Of the block's shard.</param>
    /// <param name="self">Who asks.</param>
    public static IReadOnlyList<NodeId> HoldersOf(Reign reign, NodeId self)
    {
        ArgumentNullException.ThrowIfNull(reign);
        return [.. reign.Members.Where(node => node != self).OrderBy(node => node == reign.Primary ? 0 : 1)];
    }

    /// <summary>One of them did not give the block. Who did not answer may have it; of the others, one that has it bad says more than one that
    /// has it not.</summary>
    public void OnAnswer(Status status)
    {
        if (Outcome == Status.Busy || status is not (Status.NotFound or Status.Corrupt)) { Outcome = Status.Busy; }
        else if (status == Status.Corrupt) { Outcome = status; }
    }
}
