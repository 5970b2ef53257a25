using KvFs.Core;
using KvFs.Node;
using KvFs.Node.Storage;

namespace KvFs.Pool.Tests;

/// <summary>Damages what a node has on its disk, behind its back.</summary>
internal static class Rot
{
    /// <summary>Flips a byte of the first block of a drive that is longer than a page.</summary>
    public static BlockName Flip(PoolMemberNode node, DriveId drive)
    {
        using BlockCursor blocks = node.Storage.Blocks.OpenBlockCursor(drive);
        while (blocks.MoveNext())
        {
            if (blocks.Entry is not { Length: > 4096 } entry) { continue; }
            Flip(node, drive, entry.Extents[0].Offset + 100);
            return blocks.Name;
        }

        throw new InvalidOperationException($"drive {drive} has no block");
    }

    /// <summary>Flips a bit of a byte of a drive's file.</summary>
    public static void Flip(PoolMemberNode node, DriveId drive, long offset)
    {
        using FileStream idvd = new(
            Path.Combine(node.Storage.Options.DataPath, "drives", drive.ToString(), "idvd"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        idvd.Position = offset;
        int value = idvd.ReadByte();
        idvd.Position = offset;
        idvd.WriteByte((byte)(value ^ 1));
    }

    /// <summary>Damages a block's index entry; or takes it away.</summary>
    public static void Entry(PoolMemberNode node, BlockName block, bool isTaken)
    {
        byte[] key = new byte[BlockKey.Size];
        BlockKey.Write(block, key);
        KeyValueBatch batch = new();
        if (isTaken) { batch.Delete(Family.Block, key); }
        else { batch.Put(Family.Block, key, [1, 2, 3]); }
        Assert.Equal(Status.Ok, node.Storage.Store.Write(batch, logged: true));
        Assert.Equal(Status.Ok, node.Storage.Store.SyncLog());

        node.Storage.Blocks.ForgetEntry(block);
    }

    /// <summary>The first block of a drive that is longer than a page.</summary>
    public static BlockName FirstBlock(PoolMemberNode node, DriveId drive)
    {
        using BlockCursor blocks = node.Storage.Blocks.OpenBlockCursor(drive);
        while (blocks.MoveNext())
        {
            if (blocks.Entry is { Length: > 4096 }) { return blocks.Name; }
        }

        throw new InvalidOperationException($"drive {drive} has no block");
    }

    /// <summary>What a node's own bytes of a drive look like.</summary>
    public static DriveReport Verify(PoolMemberNode node, DriveId drive)
    {
        Assert.True(node.Storage.Blocks.OpenDrive(drive).IsOk);
        return node.Storage.Blocks.VerifyDrive(drive, readBytes: true, null, CancellationToken.None)!;
    }

    /// <summary>Whether a node has all of a drive's blocks whole, with so many bad ones kept. The bytes of an entry that was taken away
    /// behind the node's back are nobody's until its next start.</summary>
    public static void IsWhole(PoolMemberNode node, DriveId drive, int kept)
    {
        DriveProblem[] problems = [.. Verify(node, drive).Problems.Where(static problem => problem.Kind != DriveProblemKind.FreeMarkedUsed)];
        Assert.Equal(kept, problems.Length);
        Assert.All(problems, static problem => Assert.Equal(DriveProblemKind.Quarantined, problem.Kind));
        Assert.Equal(kept, node.Storage.Blocks.GetStatistics(drive)!.QuarantinedBlocks);
    }
}
