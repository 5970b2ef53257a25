namespace KvFs.Core;

/// <summary>Checks that each VNode has the names it should have: exactly one where its parent says, and one more for each
/// link record.</summary>
/// <remarks>Counts in a window of ids, one byte each. For each window that has a VNode: a walk over its VNodes and one over all
/// entries. Ids are handed out in order, so a drive that has made fewer than 4 million has one window.</remarks>
internal static class NameCheck
{
    /// <summary>Ids in one window, at the most: its memory in bytes.</summary>
    private const int WindowIds = 4 << 20;

    public static void Run(DriveView view, IFindingSink findings)
    {
        byte[] counts = new byte[1024];
        VNodeId first = VNodeId.Root;
        while (TryFindFrom(view, first, out first))
        {
            Array.Clear(counts);
            Count(view, first, ref counts, findings);
            Compare(view, first, counts, findings);
            first = new(first.Value + WindowIds);
        }
    }

    private static bool TryFindFrom(DriveView view, VNodeId from, out VNodeId found)
    {
        using DriveCursor cursor = Nodes(view, from);
        ulong id = 0;
        bool any = cursor.MoveNext() && RecordKey.TrySplitNumbers(cursor.Key, out id, out _);
        found = new(id);
        return any;
    }

    private static DriveCursor Nodes(DriveView view, VNodeId from)
    {
        RecordKey end = RecordKey.Single(RecordKind.VNode);
        end.ToPrefixEnd();
        return view.Walk(RecordKey.VNode(from), end);
    }

    /// <summary>Counts names that have no link record, and checks that they are in the VNode's parent.</summary>
    private static void Count(DriveView view, VNodeId first, ref byte[] counts, IFindingSink findings)
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Dentry));
        ByteBuffer scratch = new(0);
        while (cursor.MoveNext())
        {
            if (!Dentry.TryDecode(cursor.Payload, out Dentry dentry)
                || !RecordKey.TrySplitDentry(cursor.Key, out VNodeId parent, out _, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            ulong at = dentry.Child.Value - first.Value;
            if (at >= WindowIds || !view.TryGetVNode(dentry.Child, out VNode child)) { continue; }
            RecordKey link = RecordKey.Link(dentry.Child, parent, name);
            if ((child.Flags & VNodeFlags.HasLinks) != 0 && view.TryGet(ref link, scratch)) { continue; }
            if (child.Parent != parent || child.Nlink == 0)
            {
                ulong expected = child.Parent.Value;
                findings.Add(new(
                    FindingKind.WrongParent, parent, dentry.Child, expected, parent.Value, NameText.Of(name)));
            }

            if (at >= (ulong)counts.Length) { Array.Resize(ref counts, Math.Min(WindowIds, ((int)at + 1) * 2)); }
            if (counts[at] < byte.MaxValue) { counts[at]++; }
        }
    }

    private static void Compare(DriveView view, VNodeId first, byte[] counts, IFindingSink findings)
    {
        using DriveCursor cursor = Nodes(view, first);
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitNumbers(cursor.Key, out ulong id, out _)
                || !VNode.TryDecode(cursor.Payload, out VNode vnode))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            ulong at = id - first.Value;
            if (at >= WindowIds) { return; }
            byte count = at < (ulong)counts.Length ? counts[at] : (byte)0;
            byte expected = id == VNodeId.Root.Value || vnode.Nlink == 0 ? (byte)0 : (byte)1;
            if (count == expected) { continue; }
            FindingKind kind = count < expected ? FindingKind.NoName : FindingKind.ExtraName;
            findings.Add(new(kind, new(id), VNodeId.None, expected, count, "names without link records"));
        }
    }
}
