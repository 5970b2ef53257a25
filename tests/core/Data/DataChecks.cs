namespace KvFs.Core.Tests;

/// <summary>What must hold of a drive's data records, recounted from nothing but the records.</summary>
internal static class DataChecks
{
    /// <summary>Block records equal a recount; each id that was issued is granted, live, dead or gone, and only one of
    /// these; nothing that some record names is anything but live.</summary>
    public static void CheckBlocks(TestDrive drive)
    {
        DriveId id = drive.State.Drive;
        SortedDictionary<ulong, BlockUse> counted = [];
        SortedDictionary<ulong, BlockUse> stored = [];
        HashSet<ulong> idle = [];
        foreach ((byte[] key, byte[] value) in drive.Records.All)
        {
            if (DriveId.Read(key) != id) { continue; }
            ReadOnlySpan<byte> relative = key.AsSpan(DriveId.Size);
            Assert.Equal(Status.Ok, RecordEnvelope.Read(value, out RecordHeader header, out ReadOnlySpan<byte> payload));
            switch ((RecordKind)relative[0])
            {
                case RecordKind.Slice when !header.Whiteout:
                    Count(payload, id, counted);
                    break;
                case RecordKind.History:
                    Assert.True(RecordKey.TrySplitHistory(relative, out ReadOnlySpan<byte> original, out _));
                    if (original[0] == (byte)RecordKind.Slice && !header.Whiteout) { Count(payload, id, counted); }
                    break;
                case RecordKind.BlockLive:
                    Assert.True(BlockUse.TryDecode(payload, out BlockUse use));
                    Assert.True(RecordKey.TrySplitNumbers(relative, out ulong live, out _));
                    stored.Add(live, use);
                    break;
                case RecordKind.BlockDead:
                    Assert.True(DeadBlocks.TryDecode(payload, out DeadBlocks dead));
                    Assert.True(RecordKey.TrySplitNumbers(relative, out ulong first, out _));
                    for (ulong block = first; block < first + dead.Count; block++) { Assert.True(idle.Add(block)); }
                    break;
                case RecordKind.Grant:
                    Assert.True(BlockGrant.TryDecode(payload, out BlockGrant grant));
                    Assert.True(RecordKey.TrySplitNumbers(relative, out _, out ulong last));
                    for (ulong block = last + 1 - grant.Count; block <= last; block++) { Assert.True(idle.Add(block)); }
                    break;
            }
        }

        Assert.Equal(counted, stored);
        Assert.DoesNotContain(stored.Keys, idle.Contains);
        Assert.All(idle, block => Assert.True(block < drive.Counters.Next.Block));
    }

    /// <summary>A file's backed bytes are those that its records back, and the drive's usage is their sum.</summary>
    public static void CheckUsage(DataDrive data)
    {
        ulong used = 0;
        DriveView head = data.Drive.Head;
        using DriveCursor cursor = head.WalkPrefix(RecordKey.Single(RecordKind.VNode));
        while (cursor.MoveNext())
        {
            Assert.True(VNode.TryDecode(cursor.Payload, out VNode vnode));
            Assert.True(RecordKey.TrySplitNumbers(cursor.Key, out ulong id, out _));
            if (vnode.Kind == VNodeKind.File) { Assert.Equal(Backed(head, new(id)), vnode.AllocatedBytes); }
            used += vnode.AllocatedBytes;
        }

        Assert.Equal(used, data.Drive.Counters.UsedBytes);
    }

    private static ulong Backed(DriveView view, VNodeId id)
    {
        ulong backed = 0;
        uint cluster = 0;
        ClusterMap map = new();
        using DriveCursor cursor = view.Walk(RecordKey.SlicesFrom(id, 0), RecordKey.SlicesFrom(id, uint.MaxValue));
        while (cursor.MoveNext())
        {
            Assert.True(RecordKey.TrySplitSlice(cursor.Key, out SliceKey key));
            if (key.Cluster != cluster)
            {
                backed += map.MappedBytes;
                map.Clear();
                cluster = key.Cluster;
            }

            Assert.True(map.TryAdd(cursor.Payload));
        }

        return backed + map.MappedBytes;
    }

    private static void Count(ReadOnlySpan<byte> payload, DriveId drive, SortedDictionary<ulong, BlockUse> counted)
    {
        List<Slice> runs = [];
        if (ClusterBase.IsBase(payload)) { Assert.True(ClusterBase.TryDecode(payload, runs)); }
        else
        {
            Assert.True(Slice.TryDecode(payload, out Slice slice, out _));
            runs.Add(slice);
        }

        foreach (Slice run in runs.Where(run => run.Kind == SliceKind.Block && run.Block.Owner == drive))
        {
            BlockUse use = counted.GetValueOrDefault(run.Block.Id.Value);
            counted[run.Block.Id.Value] = new(use.References + 1, use.LiveBytes + run.Length);
        }
    }
}
