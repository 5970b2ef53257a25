using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation;

/// <summary>What the store does when the disk fails it, instead of forgetting.</summary>
public sealed class BlockStoreFaultTests : IDisposable
{
    private const long MiB = 1 << 20;
    private const long DiskBytes = SpaceGuard.ReserveBytes + (192 * MiB);

    private static readonly DriveId Drive = new((UInt128)5 << 64);

    private SimulatedDisk disk = new(DiskBytes);
    private SimulatedKeyValueStore keyValues = new();
    private BlockStore store;

    public BlockStoreFaultTests()
    {
        store = BlockStore.Open(disk, keyValues, new DiskId(1));
        Assert.True(store.CreateDrive(Drive).IsOk);
    }

    public void Dispose()
    {
        store.Dispose();
        keyValues.Dispose();
    }

    [Theory]
    [InlineData("Write")]
    [InlineData("Sync")]
    public void A_failed_write_or_sync_latches_and_reads_go_on(string operationName)
    {
        DiskOperation broken = Enum.Parse<DiskOperation>(operationName);
        byte[] content = Content(100_000);
        Assert.Equal(Status.Ok, store.WriteBlock(Block(1), content));
        disk.Ask = operation => operation == broken ? Status.IoError : Status.Ok;
        Assert.Equal(Status.IoError, store.WriteBlock(Block(2), content));
        disk.Ask = static _ => Status.Ok;
        Assert.True(store.IsFailed);
        Assert.NotNull(store.Failure);
        CheckLatched(content);
        Recover();
        byte[] read = new byte[content.Length];
        Assert.Equal(Status.Ok, store.ReadBlock(Block(1), 0, read));
        Assert.Equal(content, read);
        Assert.Equal(Status.NotFound, store.ReadBlock(Block(2), 0, read));
        Assert.Equal(Status.Ok, store.WriteBlock(Block(2), content));
        Assert.True(store.VerifyDrive(Drive, readBytes: true, null, CancellationToken.None)!.IsClean);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_failed_log_latches_and_room_is_not_used_again(bool failsSync)
    {
        byte[] content = Content(50_000);
        Assert.Equal(Status.Ok, store.WriteBlock(Block(1), content));
        long free = store.GetStatistics(Drive)!.FreeBytes;
        keyValues.Ask = isSync => isSync == failsSync ? Status.IoError : Status.Ok;
        Assert.Equal(Status.IoError, store.DropBlocks(Drive, [new BlockId(1)]));
        keyValues.Ask = static _ => Status.Ok;
        Assert.Equal(free, store.GetStatistics(Drive)!.FreeBytes);
        CheckLatched(content);
    }

    [Fact]
    public void A_full_disk_refuses_early_and_recovers_when_blocks_are_dropped()
    {
        List<BlockId> written = [];
        byte[] content = Content(4 << 20);
        Status status;
        while ((status = store.WriteBlock(Block((ulong)written.Count + 1), content)) == Status.Ok)
        {
            written.Add(new BlockId((ulong)written.Count + 1));
        }

        Assert.Equal(Status.NoSpace, status);
        Assert.False(store.IsFailed);
        Assert.Equal(Status.Ok, disk.GetSpace(out DiskSpace space));
        Assert.InRange(space.FreeBytes, SpaceGuard.ReserveBytes, SpaceGuard.ReserveBytes + (12 * MiB));
        Assert.Equal(Status.NoSpace, store.Space.Check(content.Length, SpaceUse.Data));
        Assert.Equal(Status.Ok, store.Space.Check(1 << 20, SpaceUse.Metadata));
        Assert.Equal(Status.Ok, store.DropBlocks(Drive, [.. written.Take(3)]));
        Assert.Equal(Status.Ok, store.WriteBlock(Block(1000), content));
        Assert.True(store.VerifyDrive(Drive, readBytes: true, null, CancellationToken.None)!.IsClean);
    }

    [Fact]
    public void A_disk_that_is_full_all_at_once_loses_nothing_and_does_not_latch()
    {
        byte[] content = Content(100_000);
        Assert.Equal(Status.Ok, store.WriteBlock(Block(1), content));
        foreach (DiskOperation full in (DiskOperation[])[DiskOperation.Resize, DiskOperation.Write])
        {
            disk.Ask = operation => operation == full ? Status.NoSpace : Status.Ok;
            Assert.Equal(Status.NoSpace, store.WriteBlock(Block(2), Content(16 << 20)));
        }

        disk.Ask = static _ => Status.Ok;
        keyValues.Ask = static _ => Status.NoSpace;
        Assert.Equal(Status.NoSpace, store.WriteBlock(Block(3), content));
        keyValues.Ask = static _ => Status.Ok;
        Assert.False(store.IsFailed);
        Assert.Equal(Status.Ok, store.WriteBlock(Block(3), content));
        Assert.Equal(Status.Ok, store.WriteBlock(Block(2), Content(16 << 20)));
        Assert.True(store.VerifyDrive(Drive, readBytes: true, null, CancellationToken.None)!.IsClean);
    }

    [Fact]
    public void A_sector_that_cannot_be_read_and_one_that_rotted_are_corrupt_and_counted()
    {
        byte[] content = Content(100_000);
        Assert.Equal(Status.Ok, store.WriteBlock(Block(1), content));
        disk.Ask = static operation => operation == DiskOperation.Read ? Status.IoError : Status.Ok;
        Assert.Equal(Status.Corrupt, store.ReadBlock(Block(1), 0, new byte[10]));
        disk.Ask = static _ => Status.Ok;
        disk.File($"drives/{Drive}/idvd").Rot(99_999);
        Assert.Equal(Status.Ok, store.ReadBlock(Block(1), 0, new byte[10]));
        Assert.Equal(Status.Corrupt, store.ReadBlock(Block(1), 99_990, new byte[1]));
        BlockStatistics statistics = store.GetStatistics();
        Assert.Equal((1, 1), (statistics.CorruptReads, statistics.ReadErrors));
        Assert.False(store.IsFailed);
    }

    [Fact]
    public void Freed_room_at_the_end_goes_back_to_the_disk()
    {
        List<BlockId> ids = [];
        for (ulong id = 1; id <= 8; id++)
        {
            Assert.Equal(Status.Ok, store.WriteBlock(Block(id), Content(16 << 20)));
            ids.Add(new BlockId(id));
        }

        long full = store.GetStatistics(Drive)!.CapacityBytes;
        Assert.Equal(Status.Ok, store.DropBlocks(Drive, ids.ToArray()));
        Assert.True(store.GetStatistics(Drive)!.CapacityBytes < full);
        Assert.Equal(Status.Ok, disk.GetSpace(out DiskSpace space));
        Assert.True(space.FreeBytes > DiskBytes - MiB);
    }

    [Fact]
    public void A_drive_that_could_not_be_made_for_want_of_space_can_be_made_later()
    {
        DriveId other = new((UInt128)6 << 64);
        disk.Ask = static operation => operation == DiskOperation.Write ? Status.NoSpace : Status.Ok;
        Assert.Equal(Status.NoSpace, store.CreateDrive(other).Status);
        disk.Ask = static _ => Status.Ok;
        Assert.Equal([Drive], store.ListDrives().ToArray());
        Assert.True(store.CreateDrive(other).IsOk);
        Assert.Equal([Drive, other], store.ListDrives().ToArray());
    }

    private void CheckLatched(byte[] content)
    {
        byte[] read = new byte[content.Length];
        Status status = store.ReadBlock(Block(1), 0, read);
        Assert.True(status is Status.NotFound || content.AsSpan().SequenceEqual(read));
        Assert.Equal(Status.IoError, store.WriteBlock(Block(9), content));
        Assert.Equal(Status.IoError, store.SyncBlocks(Drive));
        Assert.Equal(Status.IoError, store.DropBlocks(Drive, [new BlockId(1)]));
        Assert.Equal(Status.IoError, store.CreateDrive(new DriveId(77)).Status);
    }

    private void Recover()
    {
        store.Dispose();
        disk = disk.AfterKill();
        SimulatedKeyValueStore next = keyValues.AfterKill();
        keyValues.Dispose();
        keyValues = next;
        store = BlockStore.Open(disk, keyValues, new DiskId(1));
        Assert.True(store.OpenDrive(Drive).IsOk);
    }

    private static BlockName Block(ulong id) => new(Drive, new BlockId(id));

    private static byte[] Content(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }
}
