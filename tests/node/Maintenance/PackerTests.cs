using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>Folds that meet what they cannot do: clusters stay writable as far as they can.</summary>
public sealed class PackerTests : QuietNodeTests
{
    private const int MiB = 1 << 20;
    private const int Page = 4096;

    private readonly byte[] content = new byte[MiB];

    [Fact]
    public async Task A_rotten_place_keeps_nobody_from_writing_over_it_and_beside_it_and_its_readers_are_told()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await WriteBlockAsync(session);
        const int rotten = 5 * Limits.ChecksumUnitBytes;
        RotAt(session.Drive, rotten);

        // Each round lays a slice into every page of the block: what is between them would be copied by a fold.
        byte tag = 0;
        for (int slices = 0; slices < Limits.MaxSlices * 2; slices += MiB / Page)
        {
            Assert.Equal(Status.Ok, await WriteTagsAsync(session, file, ++tag));
        }

        Node.Fold();
        ClusterMap map = (await session.GetClusterAsync(file, 0, CowNumber.Head)).Value;
        Assert.Equal(0, map.DeltaCount);
        int unreadable = 0;
        foreach (Slice run in map.Runs)
        {
            byte[] read = new byte[run.Length];
            Status status = await session.Blocks.ReadBlockAsync(run.Block, run.SourceOffset, read);
            if (status == Status.Ok)
            {
                Assert.True(content.AsSpan((int)run.Offset, read.Length).SequenceEqual(read));
                continue;
            }

            Assert.Equal(Status.Corrupt, status);
            Assert.True(run.End > rotten && run.Offset < rotten + Limits.ChecksumUnitBytes, $"Unreadable: {run}.");
            unreadable += read.Length;
        }

        Assert.Equal(((Limits.ChecksumUnitBytes / Page) + 1) * (Page - 2), unreadable);
    }

    [Fact]
    public async Task Where_a_fold_finds_no_room_the_writer_is_told_that_and_goes_on_when_there_is_some()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await WriteBlockAsync(session);
        for (int slices = 0; slices < Limits.MaxSlices - (MiB / Page); slices += MiB / Page)
        {
            Assert.Equal(Status.Ok, await WriteTagsAsync(session, file, 1));
        }

        // Room for transactions, not for blocks.
        Node.Disk.FreeBytes = SpaceGuard.ReserveBytes * 3 / 4;
        Assert.Equal(Status.NoSpace, Node.Blocks.Space.Check(1 << 30, SpaceUse.Data));
        Assert.Equal(Status.NoSpace, await WriteTagsAsync(session, file, 2));
        Node.Disk.FreeBytes = null;
        Assert.Equal(Status.Ok, await WriteTagsAsync(session, file, 2));
    }

    [Fact]
    public async Task What_presses_is_folded_without_copies_and_laid_out_well_once_it_rests()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await WriteBlockAsync(session);
        await WriteShuffledAsync(session, file);

        Node.FoldPressing();
        ClusterMap map = (await session.GetClusterAsync(file, 0, CowNumber.Head)).Value;
        Assert.Equal((1L, 0L, 0, MiB / Page), (Node.Folds, Node.PackedBytes, map.DeltaCount, map.Runs.Count));

        Node.Fold();
        map = (await session.GetClusterAsync(file, 0, CowNumber.Head)).Value;
        Assert.Equal((2L, (long)MiB, 0, 1), (Node.Folds, Node.PackedBytes, map.DeltaCount, map.Runs.Count));
        byte[] read = new byte[MiB];
        Assert.Equal(Status.Ok, await session.Blocks.ReadBlockAsync(map.Runs[0].Block, map.Runs[0].SourceOffset, read));
        Assert.True(content.AsSpan().SequenceEqual(read));

        // A base that is laid out well is left alone.
        Node.Work.Fold(Node.Drive("d"), new(file, 0, Limits.MaxSlices, 0, 0, 1));
        Node.Fold();
        Assert.Equal(2L, Node.Folds);
    }

    private async Task<VNodeId> WriteBlockAsync(IDriveSession session)
    {
        new Random(3).NextBytes(content);
        VNodeId file = await CreateAsync(session, "f");
        BlockName block = new(session.Drive, (await session.GrantBlocksAsync(1)).Value);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, content));
        FileCommit commit = new() { Node = file, MinSize = MiB };
        commit.Runs.Add(new(0, MiB, SliceKind.Block, block, 0));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
        return file;
    }

    /// <summary>Writes all pages anew, from a block that has them in another order, as one transaction.</summary>
    private async Task WriteShuffledAsync(IDriveSession session, VNodeId file)
    {
        Random random = new(4);
        random.NextBytes(content);
        int[] places = [.. Enumerable.Range(0, MiB / Page)];
        random.Shuffle(places);
        byte[] shuffled = new byte[MiB];
        FileCommit commit = new() { Node = file };
        BlockName block = new(session.Drive, (await session.GrantBlocksAsync(1)).Value);
        for (int page = 0; page < places.Length; page++)
        {
            content.AsSpan(page * Page, Page).CopyTo(shuffled.AsSpan(places[page] * Page));
            commit.Runs.Add(new((ulong)(page * Page), Page, SliceKind.Block, block, (uint)(places[page] * Page)));
        }

        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, shuffled));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
    }

    /// <summary>Two bytes into the middle of every page, as one transaction.</summary>
    private async Task<Status> WriteTagsAsync(IDriveSession session, VNodeId file, byte tag)
    {
        FileCommit commit = new() { Node = file };
        commit.Inline.Append([tag, tag]);
        for (int at = Page / 2; at < MiB; at += Page)
        {
            commit.Runs.Add(new((ulong)at, 2, SliceKind.Inline, default, 0));
            content.AsSpan(at, 2).Fill(tag);
        }

        return await session.CommitAsync([commit], []);
    }

    /// <summary>Flips a bit of what the drive's only block has at an offset.</summary>
    private void RotAt(DriveId drive, int offset)
    {
        using FileStream blocks = File.Open(
            Path.Combine(Folder, "drives", drive.ToString(), "idvd"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        byte[] stored = new byte[16];
        long at = 0;
        do
        {
            blocks.Position = at;
            blocks.ReadExactly(stored);
            at += Page;
        }
        while (!stored.AsSpan().SequenceEqual(content.AsSpan(0, stored.Length)));

        blocks.Position = at - Page + offset;
        int value = blocks.ReadByte();
        blocks.Position--;
        blocks.WriteByte((byte)(value ^ 1));
    }
}
