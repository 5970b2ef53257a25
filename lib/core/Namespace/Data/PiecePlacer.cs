namespace KvFs.Core;

/// <summary>Puts what one place of a file shows to another place.</summary>
internal static class PiecePlacer
{
    /// <summary>Lays a piece over the target at an offset, within one cluster; a gap over nothing costs nothing.</summary>
    /// <remarks>The block that it names is referred to already, by what shows the piece: no grant is needed.</remarks>
    public static Status Put(
        VNodeId target,
        in DataExtent extent,
        ulong offset,
        Slice piece,
        ReadOnlySpan<byte> inline,
        DriveTransaction transaction,
        ref long growth)
    {
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        Slice slice = piece with { Offset = (uint)(offset % Limits.ClusterBytes) };
        if (slice.Kind == SliceKind.Inline) { slice = slice with { SourceOffset = 0 }; }
        if (slice.Kind == SliceKind.Hole)
        {
            if (SliceWriter.IsCut(target, extent, cluster, transaction)) { return Status.Busy; }
            if (transaction.CoverageOf(target, cluster).MappedIn(slice.Offset, slice.End) == 0) { return Status.Ok; }
        }

        return SliceWriter.Put(target, extent, cluster, slice, inline, default, transaction, ref growth);
    }
}
