using KvFs.Core;

namespace KvFs.Mount.Tests.Drive;

/// <summary>Node ids of snapshots.</summary>
public sealed class SnapshotNodesTests
{
    private readonly SnapshotNodes nodes = new();

    [Fact]
    public void An_id_leads_back_to_its_node_and_version()
    {
        ulong root = nodes.LookUpRoot(new(77));
        ulong child = SnapshotNodes.Sibling(root, new(123_456_789));
        nodes.Looked(child);
        Assert.True(SnapshotNodes.IsSnapshot(root) && SnapshotNodes.IsSnapshot(child));
        Assert.True(nodes.TryResolve(root, out NodeRef rootNode));
        Assert.Equal(new NodeRef(VNodeId.Root, new(77)), rootNode);
        Assert.True(nodes.TryResolve(child, out NodeRef childNode));
        Assert.Equal(new NodeRef(new(123_456_789), new(77)), childNode);
    }

    [Fact]
    public void The_folder_and_what_was_never_told_stand_for_no_node()
    {
        Assert.True(SnapshotNodes.IsSnapshot(SnapshotNodes.Folder));
        Assert.False(nodes.TryResolve(SnapshotNodes.Folder, out _));
        Assert.False(nodes.TryResolve(SnapshotNodes.Folder | (5UL << 48) | 1, out _));
        Assert.False(nodes.TryResolve(ulong.MaxValue, out _));
    }

    [Fact]
    public void The_same_version_has_the_same_ids_and_another_one_has_others()
    {
        ulong first = nodes.LookUpRoot(new(1));
        Assert.Equal(first, nodes.LookUpRoot(new(1)));
        Assert.NotEqual(first, nodes.LookUpRoot(new(2)));
    }

    [Fact]
    public void A_VNode_whose_id_needs_more_than_48_bits_has_no_id_in_a_snapshot()
    {
        ulong root = nodes.LookUpRoot(new(1));
        Assert.NotEqual(0UL, SnapshotNodes.Sibling(root, new((1UL << 48) - 1)));
        Assert.Equal(0UL, SnapshotNodes.Sibling(root, new(1UL << 48)));
    }

    [Fact]
    public void Only_versions_that_the_kernel_has_forgotten_make_room_for_others()
    {
        const int Slots = (1 << 15) - 1;
        ulong kept = nodes.LookUpRoot(new(1));
        ulong child = SnapshotNodes.Sibling(kept, new(9));
        nodes.Looked(child);
        nodes.Forget(kept, 1);
        for (ulong version = 2; version <= Slots; version++) { Assert.NotEqual(0UL, nodes.LookUpRoot(new(version))); }
        Assert.Equal(0UL, nodes.LookUpRoot(new(1_000_000)));

        // The child is known still; once it is forgotten, its version's slot is free.
        Assert.True(nodes.TryResolve(child, out NodeRef node) && node.At == new CowNumber(1));
        nodes.Forget(child, 1);
        Assert.Equal(kept, nodes.LookUpRoot(new(1_000_000)));
        Assert.True(nodes.TryResolve(child, out node) && node.At == new CowNumber(1_000_000));
        Assert.Equal(0UL, nodes.LookUpRoot(new(1)));
    }
}
