using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests.Storage;

public class StorageCodecTests
{
    private static readonly DriveId Drive = new(((UInt128)0x0192_F0C1_1111_7222 << 64) | 0x8333_4444_5555_6666);
    private static readonly DiskId Disk = new(((UInt128)0x1112_1314_1516_1718 << 64) | 0x191A_1B1C_1D1E_1F20);

    [Fact]
    public void A_superblock_reads_as_it_was_written_in_every_version()
    {
        byte[] bytes = MakeSuperblock();
        Assert.Equal(Status.Ok, Superblock.Read(bytes, out Superblock read));
        Assert.Equal(new Superblock(Drive, Disk), read);
        Golden.Check("superblock-v1.bin", bytes);
    }

    [Fact]
    public void A_bitmap_reads_as_it_was_written_in_every_version()
    {
        byte[] bytes = MakeBitmap();
        Assert.Equal(Status.Ok, BitmapCheckpoint.Read(bytes, Drive, out ulong generation, out BuddyAllocator read));
        Assert.Equal(7ul, generation);
        Assert.Equal(3, read.ChunkCount);
        Assert.Equal((4096 - 3 + 4096) * 4096L, read.FreeBytes);
        Assert.True(read.IsAllocated(new Extent(0, 4099)));
        Golden.Check("bitmap-v1.bin", bytes);
        Assert.Equal(Status.Corrupt, BitmapCheckpoint.Read(bytes, new DriveId(1), out _, out _));
    }

    [Fact]
    public void A_block_entry_reads_as_it_was_written_in_every_version()
    {
        byte[] bytes = MakeEntry();
        Assert.Equal(Status.Ok, BlockIndexEntry.Read(bytes, out BlockIndexEntry? read));
        Assert.Equal(70_000, read!.Length);
        Assert.Equal([new Extent(5, 17), new Extent(0xFFFF_FFFF, 1)], read.Extents.ToArray());
        Assert.Equal([0x0102_0304u, 0xFFEE_DDCCu], read.Checksums.ToArray());
        Golden.Check("block-entry-v1.bin", bytes);

        byte[] key = new byte[BlockKey.Size];
        BlockName name = new(Drive, new BlockId(0x0102_0304_0506_0708));
        BlockKey.Write(name, key);
        Assert.True(BlockKey.TryRead(key, out BlockName again));
        Assert.Equal(name, again);
        Golden.Check("block-key-v1.bin", key);
    }

    [Fact]
    public void A_record_of_a_bad_block_reads_as_it_was_written_in_every_version()
    {
        byte[] bytes = MakeQuarantine();
        Assert.Equal(Status.Ok, QuarantineRecord.Read(bytes, out QuarantineRecord? read));
        Assert.Equal([new Extent(5, 17), new Extent(0xFFFF_FFFF, 1)], read!.Extents.ToArray());
        Assert.Equal([1, 2, 3], read.DamagedEntry.ToArray());
        Assert.Equal(18 * 4096, read.Bytes);
        byte[] key = new byte[QuarantineRecord.KeySize];
        BlockName name = new(Drive, new BlockId(0x0102_0304_0506_0708));
        read.WriteKey(name, key);
        Assert.True(QuarantineRecord.TryReadKey(key, out BlockName again));
        Assert.Equal(name, again);
        Golden.Check("quarantine-v1.bin", [.. key, .. bytes]);
    }

    [Fact]
    public void A_digest_of_blocks_is_the_same_in_every_version_and_in_any_order()
    {
        Assert.Equal(Status.Ok, BlockIndexEntry.Read(MakeEntry(), out BlockIndexEntry? entry));
        ulong one = BlockSetDigest.HashOf(new(1), entry!);
        ulong two = BlockSetDigest.HashOf(new(2), entry!);
        Assert.NotEqual(one, two);
        BlockSetDigest digest = default(BlockSetDigest).With(one).With(two);
        Assert.Equal(digest, default(BlockSetDigest).With(two).With(one));
        Assert.NotEqual(digest, default(BlockSetDigest).With(one).With(one));
        Golden.Check("block-digest-v1.bin", [.. BitConverter.GetBytes(one), .. BitConverter.GetBytes(digest.Sum)]);
    }

    [Fact]
    public void System_records_read_as_they_were_written_in_every_version()
    {
        byte[] folder = MakeFolderRecord();
        Assert.Equal(Status.Ok, DriveFolderRecord.Read(folder, out DriveFolderRecord record));
        Assert.Equal(new DriveFolderRecord(DriveFolderState.Active, 9), record);
        DriveFolderRecord spread = new(DriveFolderState.Active, 9) { Spread = 100 };
        byte[] wide = new byte[DriveFolderRecord.MaxSize];
        spread.Write(wide);
        Assert.Equal(Status.Ok, DriveFolderRecord.Read(wide, out DriveFolderRecord again));
        Assert.Equal(spread, again);
        Golden.Check("drive-folder-v2.bin", wide);
        byte[] identity = MakeIdentity();
        Assert.Equal(Status.Ok, DiskIdentityRecord.Read(identity, out DiskId disk));
        Assert.Equal(Disk, disk);
        byte[] key = new byte[DriveFolderRecord.KeySize];
        DriveFolderRecord.WriteKey(Drive, key);
        Assert.True(DriveFolderRecord.TryReadKey(key, out DriveId drive));
        Assert.Equal(Drive, drive);
        Golden.Check("system-v1.bin", [.. key, .. folder, .. DiskIdentityRecord.Key, .. identity]);
    }

    [Fact]
    public void A_newer_format_is_told_from_damage()
    {
        Assert.Equal(Status.NotSupported, Superblock.Read(Resealed(MakeSuperblock(), 8, 2), out _));
        Assert.Equal(Status.NotSupported, Superblock.Read(Resealed(MakeSuperblock(), 100, 1), out _));
        Assert.Equal(Status.NotSupported, BitmapCheckpoint.Read(Resealed(MakeBitmap(), 8, 2), Drive, out _, out _));
        Assert.Equal(Status.NotSupported, BlockIndexEntry.Read(Resealed(MakeEntry(), 0, 2), out _));
        Assert.Equal(Status.NotSupported, QuarantineRecord.Read(Resealed(MakeQuarantine(), 0, 2), out _));
        Assert.Equal(Status.NotSupported, DriveFolderRecord.Read(Resealed(MakeFolderRecord(), 0, 3), out _));
        Assert.Equal(Status.NotSupported, DiskIdentityRecord.Read(Resealed(MakeIdentity(), 0, 2), out _));
    }

    [Fact]
    public void Every_flipped_bit_and_every_cut_is_corrupt()
    {
        foreach (byte[] good in (byte[][])[MakeSuperblock(), MakeEntry(), MakeQuarantine(), MakeFolderRecord(), MakeIdentity()])
        {
            for (int bit = 0; bit < good.Length * 8; bit += good.Length > 1000 ? 13 : 1)
            {
                byte[] bad = (byte[])good.Clone();
                bad[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.Equal([Status.Corrupt], ReadAll(bad).Where(static status => status != Status.Corrupt)
                    .DefaultIfEmpty(Status.Corrupt));
            }

            for (int length = 0; length < good.Length; length += good.Length > 1000 ? 37 : 1)
            {
                Assert.All(ReadAll(good[..length]), static status => Assert.Equal(Status.Corrupt, status));
            }
        }
    }

    /// <summary>Garbage behind a right checksum: the shape itself is checked, too.</summary>
    [Fact]
    public void Garbage_never_throws_even_with_a_right_checksum()
    {
        Prop.ForAll<byte[], int>(static (garbage, choice) =>
        {
            byte[][] good = [MakeSuperblock(), MakeBitmap(), MakeEntry(), MakeQuarantine(), MakeFolderRecord(), MakeIdentity()];
            byte[] bytes = (byte[])good[Math.Abs(choice % good.Length)].Clone();
            for (int i = 0; i < garbage.Length; i++) { bytes[(garbage[i] * 31 + i) % (bytes.Length - 4)] = garbage[i]; }
            Seal(bytes);
            ReadAll(bytes);
            ReadAll(garbage);
            BlockKey.TryRead(garbage, out _);
            QuarantineRecord.TryReadKey(garbage, out _);
            DriveFolderRecord.TryReadKey(garbage, out _);
            return true;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void An_entry_whose_extents_do_not_fit_its_length_is_corrupt()
    {
        byte[] entry = MakeEntry();
        Assert.Equal(Status.Corrupt, BlockIndexEntry.Read(Resealed(entry, 6, 0), out _));
        Assert.Equal(Status.Corrupt, BlockIndexEntry.Read(Resealed(entry, 12, 16), out _));
        Assert.Equal(Status.Corrupt, BlockIndexEntry.Read(Resealed(entry, 2, 1), out _));
    }

    private static Status[] ReadAll(byte[] bytes) =>
    [
        Superblock.Read(bytes, out _),
        BitmapCheckpoint.Read(bytes, Drive, out _, out _),
        BlockIndexEntry.Read(bytes, out _),
        QuarantineRecord.Read(bytes, out _),
        DriveFolderRecord.Read(bytes, out _),
        DiskIdentityRecord.Read(bytes, out _),
    ];

    private static byte[] MakeQuarantine()
    {
        ByteBuffer value = new();
        new QuarantineRecord([new Extent(5, 17), new Extent(0xFFFF_FFFF, 1)], [1, 2, 3]).Write(value);
        return value.Span.ToArray();
    }

    private static byte[] MakeSuperblock()
    {
        byte[] bytes = new byte[Superblock.Size];
        new Superblock(Drive, Disk).Write(bytes);
        return bytes;
    }

    private static byte[] MakeBitmap()
    {
        BuddyAllocator allocator = new();
        allocator.TryGrow(3);
        allocator.TryReserve(new Extent(0, 4096));
        allocator.TryReserve(new Extent(4096, 3));
        ByteBuffer bytes = new();
        BitmapCheckpoint.Write(Drive, 7, allocator, bytes);
        return bytes.Span.ToArray();
    }

    private static byte[] MakeEntry()
    {
        ByteBuffer bytes = new();
        new BlockIndexEntry(70_000, [new Extent(5, 17), new Extent(0xFFFF_FFFF, 1)], [0x0102_0304, 0xFFEE_DDCC]).Write(bytes);
        return bytes.Span.ToArray();
    }

    private static byte[] MakeFolderRecord()
    {
        DriveFolderRecord record = new(DriveFolderState.Active, 9);
        byte[] bytes = new byte[record.Size];
        record.Write(bytes);
        return bytes;
    }

    private static byte[] MakeIdentity()
    {
        byte[] bytes = new byte[DiskIdentityRecord.Size];
        DiskIdentityRecord.Write(Disk, bytes);
        return bytes;
    }

    private static byte[] Resealed(byte[] bytes, int offset, byte value)
    {
        byte[] changed = (byte[])bytes.Clone();
        changed[offset] = value;
        Seal(changed);
        return changed;
    }

    private static void Seal(byte[] bytes) => BitConverter.TryWriteBytes(bytes.AsSpan(^4..), Crc32C.Compute(bytes.AsSpan(..^4)));
}
