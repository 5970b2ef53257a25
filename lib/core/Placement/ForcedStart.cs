using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What a node says of its copy of a shard, and of who is there.</summary>
/// <param name="Process">The node, its disk, and the process that answers.</param>
/// <param name="Last">The last entry of its log; null: it has no copy of the shard.</param>
/// <param name="Heard">Other nodes that it hears.</param>
public sealed record CopyReport(InSyncReplica Process, LogPosition? Last, ImmutableArray<NodeId> Heard);

/// <summary>Which copy is to begin a shard anew that nobody can serve any more, or why none may.</summary>
/// <param name="Status">Ok; NotPermitted: a copy that was in sync is there; NotFound: no such copy answers.</param>
/// <param name="Copy">The copy; null: none may.</param>
/// <param name="Reason">Why none may, for people.</param>
public sealed record ForcedChoice(Status Status, CopyReport? Copy, string Reason);

/// <summary>Decides whether a shard may begin anew from a copy that lacks what others had, and from which.</summary>
/// <remarks>Pure. A shard with an in-sync copy whose node is there, under whatever boot id, is never to be forced: it goes on, or
/// starts by itself after a power cut. Source: docs/design.md, section 7.</remarks>
public static class ForcedStart
{
    /// <summary>Chooses among the copies of the nodes that answered.</summary>
    /// <param name="entry">What the pool map says of the shard.</param>
    /// <param name="members">The nodes of the pool, with their disks.</param>
    /// <param name="reports">Of each node that answered, one.</param>
    /// <param name="wanted">Whose copy is to be it; null: the one that is furthest, of several the first.</param>
    /// <param name="nameOf">How people call a node.</param>
    public static ForcedChoice Choose(
        ShardEntry entry,
        IReadOnlyList<PoolMember> members,
        IReadOnlyList<CopyReport> reports,
        NodeId? wanted,
        Func<NodeId, string> nameOf)
    {
        ArgumentNullException.ThrowIfNull(entry);
        ArgumentNullException.ThrowIfNull(members);
        ArgumentNullException.ThrowIfNull(reports);
        ArgumentNullException.ThrowIfNull(nameOf);
        foreach (InSyncReplica copy in entry.InSync)
        {
            if (FindAlive(copy, reports, nameOf) is { } alive) { return new(Status.NotPermitted, null, alive); }
        }

        CopyReport[] candidates =
        [
            .. reports
                .Where(report => report.Last is not null && members.Contains(new(report.Process.Node, report.Process.Disk)))
                .OrderByDescending(static report => report.Last!.Value)
                .ThenBy(static report => report.Process.Node.Value),
        ];
        CopyReport? chosen = candidates.FirstOrDefault(report => wanted is not { } one || report.Process.Node == one);
        if (chosen is not null) { return new(Status.Ok, chosen, string.Empty); }
        return new(Status.NotFound, null, wanted is { } asked
            ? $"{nameOf(asked)} does not answer, or has no copy of the shard"
            : "no node that answers has a copy of the shard");
    }

    /// <summary>Why a copy that was in sync cannot be given up; null: nobody knows of its node.</summary>
    private static string? FindAlive(InSyncReplica copy, IReadOnlyList<CopyReport> reports, Func<NodeId, string> nameOf)
    {
        foreach (CopyReport report in reports)
        {
            if (report.Process == copy) { return $"{nameOf(copy.Node)} runs, and has all of it"; }
            if (report.Process.Node == copy.Node && report.Process.Disk == copy.Disk)
            {
                return $"{nameOf(copy.Node)} is back with its disk, which was in sync last: the shard starts from it by itself";
            }

            if (report.Heard.Contains(copy.Node)) { return $"{nameOf(report.Process.Node)} hears {nameOf(copy.Node)}, which was in sync last"; }
        }

        return null;
    }
}
