using KvFs.Core;

namespace KvFs.Mount;

/// <summary>The node ids of what <c>.snapshots</c> shows: other than those of the present, and always the same for the
/// same VNode at the same version while the kernel knows it.</summary>
/// <remarks>
/// Layout of an id: bit 63: 1; 62-48: the version's slot, 1 to 32,767; 47-0: the VNode. Slot 0 with VNode 0 is the
/// folder <c>.snapshots</c> itself. A live VNode's node id is its own id, below 2^63.
/// <para>So nothing is kept per node: a slot counts the lookups that the kernel has of all its nodes, and only one
/// without any is given to another version. Thread safe.</para>
/// </remarks>
internal sealed class SnapshotNodes
{
    /// <summary>The folder <c>.snapshots</c>.</summary>
    public const ulong Folder = Mark;

    /// <summary>Versions of which the kernel may know nodes at once: 15 bits; a drive retains 1,024
    /// snapshots.</summary>
    private const int Slots = 1 << 15;

    private const ulong Mark = 1UL << 63;
    private const int SlotShift = 48;
    private const ulong VNodeMask = (1UL << SlotShift) - 1;

    private readonly Lock gate = new();
    private readonly ulong[] versions = new ulong[Slots];
    private readonly long[] lookups = new long[Slots];
    private readonly Dictionary<ulong, int> slots = [];
    private int lastTaken;

    public static bool IsSnapshot(ulong nodeId) => (nodeId & Mark) != 0;

    /// <summary>The id of another VNode at the same version as a node's; 0 if the VNode's own id is too
    /// large.</summary>
    public static ulong Sibling(ulong nodeId, VNodeId id) =>
        id.Value <= VNodeMask ? (nodeId & ~VNodeMask) | id.Value : 0;

    /// <summary>What an id stands for; false if it is the folder's, or nobody's.</summary>
    public bool TryResolve(ulong nodeId, out NodeRef node)
    {
        int slot = SlotOf(nodeId);
        node = new(new(nodeId & VNodeMask), new(Volatile.Read(ref versions[slot])));
        return slot != 0 && node.At.Value != 0;
    }

    /// <summary>The id of a version's root, with one lookup counted; 0 if there is no slot for it.</summary>
    public ulong LookUpRoot(CowNumber at)
    {
        lock (gate)
        {
            if (!slots.TryGetValue(at.Value, out int slot))
            {
                slot = FindFree();
                if (slot == 0) { return 0; }
                slots.Remove(versions[slot]);
                slots.Add(at.Value, slot);
                Volatile.Write(ref versions[slot], at.Value);
            }

            Interlocked.Increment(ref lookups[slot]);
            return Mark | ((ulong)slot << SlotShift) | VNodeId.Root.Value;
        }
    }

    /// <summary>The kernel gets to know a node, whose parent it knows.</summary>
    public void Looked(ulong nodeId) => Interlocked.Increment(ref lookups[SlotOf(nodeId)]);

    /// <summary>The kernel dropped lookups, or never got them.</summary>
    public void Forget(ulong nodeId, ulong count) => Interlocked.Add(ref lookups[SlotOf(nodeId)], -(long)count);

    private static int SlotOf(ulong nodeId) => (int)((nodeId & ~Mark) >> SlotShift);

    /// <summary>A slot that the kernel knows nothing of, the longest unused first; 0 if there is none.</summary>
    private int FindFree()
    {
        for (int i = 1; i < Slots; i++)
        {
            int slot = 1 + ((lastTaken + i - 1) % (Slots - 1));
            if (Interlocked.Read(ref lookups[slot]) == 0)
            {
                lastTaken = slot;
                return slot;
            }
        }

        return 0;
    }
}
