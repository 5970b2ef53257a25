using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>What is on the disk is not what we left there: a clear answer, and nothing lost.</summary>
public sealed class DamagedFolderTests : IDisposable
{
    private readonly DataFolder data = new();
    private readonly byte[] content = DataFolder.Content(200_000);

    public DamagedFolderTests()
    {
        data.CreateDrive();
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(1), content));
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(2), content));
    }

    public void Dispose() => data.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData(null)]
    public void A_bitmap_that_cannot_be_believed_is_rebuilt(string? bitmap)
    {
        data.Reopen(() =>
        {
            Assert.True(File.Exists(data.DrivePath(".bitmap")));
            if (bitmap is null) { File.Delete(data.DrivePath(".bitmap")); }
            else { File.WriteAllText(data.DrivePath(".bitmap"), bitmap); }
        });
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        Assert.True(data.Verify().IsClean);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(500)]
    public void A_bitmap_that_was_cut_is_rebuilt(int bytes)
    {
        data.Reopen(() =>
        {
            using FileStream bitmap = File.OpenWrite(data.DrivePath(".bitmap"));
            Assert.True(bitmap.Length > bytes);
            bitmap.SetLength(bytes);
        });
        CheckWhole();
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(3), content));
        Assert.True(data.Verify().IsClean);
    }

    [Fact]
    public void Files_of_another_drive_in_the_place_of_its_own_are_found_and_with_its_own_back_all_is_there()
    {
        // The other one has as many bytes, opened as often: only what is in the files tells them apart.
        DriveId other = new((UInt128)2 << 64);
        Assert.True(data.Blocks.CreateDrive(other).IsOk);
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(new(other, new BlockId(1)), DataFolder.Content(content.Length, seed: 2)));
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(new(other, new BlockId(2)), DataFolder.Content(content.Length, seed: 3)));
        byte[] idvd = [], bitmap = [];
        data.Reopen(() =>
        {
            idvd = File.ReadAllBytes(data.DrivePath("idvd"));
            bitmap = File.ReadAllBytes(data.DrivePath(".bitmap"));
            foreach (string file in (string[])["idvd", ".bitmap"])
            {
                File.Copy(data.PathOf($"drives/{other}/{file}"), data.DrivePath(file), overwrite: true);
            }
        });
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        foreach (ulong block in (ulong[])[1, 2])
        {
            byte[] read = new byte[content.Length];
            Assert.Equal(Status.Corrupt, data.Blocks.ReadBlock(DataFolder.Block(block), 0, read));
        }

        Assert.Equal(
            [DataFolder.Block(1), DataFolder.Block(2)],
            data.Verify().Problems.Where(static problem => problem.Kind == DriveProblemKind.BadBytes)
                .Select(static problem => problem.Block!.Value).Distinct().OrderBy(static block => block.Id.Value));

        // What is written meanwhile takes no byte that a block of its own file has.
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(3), content));
        data.Reopen(() =>
        {
            File.WriteAllBytes(data.DrivePath("idvd"), idvd);
            File.WriteAllBytes(data.DrivePath(".bitmap"), bitmap);
        });
        CheckWhole();
        byte[] first = new byte[content.Length];
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(DataFolder.Block(1), 0, first));
        Assert.Equal(content, first);
        Assert.True(data.Blocks.OpenDrive(other).IsOk);
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(new(other, new BlockId(1)), 0, first));
        Assert.Equal(DataFolder.Content(content.Length, seed: 2), first);
    }

    [Fact]
    public void An_old_bitmap_put_back_is_not_believed()
    {
        byte[] old = [];
        data.Reopen(() => old = File.ReadAllBytes(data.DrivePath(".bitmap")));
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        Assert.Equal(Status.Ok, data.Blocks.WriteBlock(DataFolder.Block(3), content));
        data.Reopen(() => File.WriteAllBytes(data.DrivePath(".bitmap"), old));
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        Assert.True(data.Verify().IsClean);
    }

    [Fact]
    public void An_empty_or_cut_superblock_is_refused_and_nothing_changed()
    {
        byte[] good = File.ReadAllBytes(data.DrivePath(".meta"));
        foreach (byte[] bad in (byte[][])[[], good[..100], new byte[4096]])
        {
            data.Reopen(() => File.WriteAllBytes(data.DrivePath(".meta"), bad));
            StorageResult opened = data.Blocks.OpenDrive(DataFolder.Drive);
            Assert.Equal(Status.Corrupt, opened.Status);
            Assert.Contains(".meta", opened.Message, StringComparison.Ordinal);
        }

        data.Reopen(() => File.WriteAllBytes(data.DrivePath(".meta"), good));
        CheckWhole();
    }

    [Fact]
    public void A_newer_format_and_a_foreign_folder_are_refused()
    {
        byte[] newer = File.ReadAllBytes(data.DrivePath(".meta"));
        newer[8] = 2;
        BitConverter.TryWriteBytes(newer.AsSpan(^4..), Crc32C.Compute(newer.AsSpan(..^4)));
        data.Reopen(() => File.WriteAllBytes(data.DrivePath(".meta"), newer));
        StorageResult refused = data.Blocks.OpenDrive(DataFolder.Drive);
        Assert.Equal(Status.NotSupported, refused.Status);
        Assert.Contains("Use the newer KvFs that wrote it", refused.Message, StringComparison.Ordinal);

        byte[] foreign = new byte[Superblock.Size];
        new Superblock(DataFolder.Drive, new DiskId(99)).Write(foreign);
        data.Reopen(() => File.WriteAllBytes(data.DrivePath(".meta"), foreign));
        Assert.Equal(Status.Conflict, data.Blocks.OpenDrive(DataFolder.Drive).Status);
    }

    [Fact]
    public void A_cut_idvd_is_refused_for_writing_and_can_be_looked_at()
    {
        data.Reopen(() =>
        {
            using FileStream idvd = File.OpenWrite(data.DrivePath("idvd"));
            idvd.SetLength(204_800);
        });
        StorageResult opened = data.Blocks.OpenDrive(DataFolder.Drive);
        Assert.Equal(Status.Corrupt, opened.Status);
        Assert.Contains("shorter", opened.Message, StringComparison.Ordinal);
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive, readOnly: true).IsOk);
        Assert.Equal(Status.ReadOnly, data.Blocks.WriteBlock(DataFolder.Block(3), content));
        byte[] read = new byte[content.Length];
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(DataFolder.Block(1), 0, read));
        Assert.Equal(Status.Corrupt, data.Blocks.ReadBlock(DataFolder.Block(2), 0, read));
        DriveReport report = data.Verify();
        Assert.Contains(report.Problems, static problem => problem.Kind == DriveProblemKind.OutOfBounds);
        Assert.Contains(report.Problems, static problem =>
            problem.Kind == DriveProblemKind.BadBytes && problem.Block == DataFolder.Block(2));
    }

    [Fact]
    public void A_rotten_byte_is_found_by_reads_of_its_unit_and_by_verification()
    {
        data.Reopen(() =>
        {
            using FileStream idvd = File.Open(data.DrivePath("idvd"), FileMode.Open);
            idvd.Position = 70_000;
            int value = idvd.ReadByte();
            idvd.Position = 70_000;
            idvd.WriteByte((byte)(value ^ 1));
        });
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(DataFolder.Block(1), 0, new byte[65_536]));
        Assert.Equal(Status.Corrupt, data.Blocks.ReadBlock(DataFolder.Block(1), 131_071, new byte[1]));
        Assert.Equal(1, data.Blocks.GetStatistics().CorruptReads);
        DriveProblem problem = Assert.Single(data.Verify().Problems);
        Assert.Equal(DriveProblemKind.BadBytes, problem.Kind);
    }

    [Fact]
    public void A_folder_of_an_unknown_drive_is_reported_and_left_alone()
    {
        string foreign = data.PathOf("drives/0192f0c1-1111-7222-8333-444455556666");
        data.Reopen(() =>
        {
            Directory.CreateDirectory(foreign);
            File.WriteAllText($"{foreign}/idvd", "somebody's");
        });
        Assert.Contains("0192f0c1", Assert.Single(data.Blocks.Findings), StringComparison.Ordinal);
        Assert.True(DriveId.TryParse(Path.GetFileName(foreign), out DriveId id));
        Assert.Equal(Status.Exists, data.Blocks.CreateDrive(id).Status);
        Assert.Equal("somebody's", File.ReadAllText($"{foreign}/idvd"));
    }

    [Fact]
    public void A_drive_that_is_deleted_takes_only_its_own_files()
    {
        File.WriteAllText(data.DrivePath("notes"), "mine");
        Assert.True(data.Blocks.DeleteDrive(DataFolder.Drive).IsOk);
        Assert.False(File.Exists(data.DrivePath("idvd")));
        Assert.Equal("mine", File.ReadAllText(data.DrivePath("notes")));
        Assert.Empty(data.Blocks.ListDrives());
        Assert.Equal(Status.NotFound, data.Blocks.DeleteDrive(DataFolder.Drive).Status);
    }

    [Fact]
    public void Two_stores_on_one_folder_are_refused()
    {
        StorageException refused = Assert.Throws<StorageException>(
            () => BlockStore.Open(data.Disk, data.KeyValues, new DiskId(1)));
        Assert.Equal(Status.InUse, refused.Status);
        Assert.Equal(Status.InUse, Assert.Throws<StorageException>(() => JournaledKeyValueStore.Open(data.PathOf("db"))).Status);
    }

    private void CheckWhole()
    {
        Assert.True(data.Blocks.OpenDrive(DataFolder.Drive).IsOk);
        byte[] read = new byte[content.Length];
        Assert.Equal(Status.Ok, data.Blocks.ReadBlock(DataFolder.Block(2), 0, read));
        Assert.Equal(content, read);
    }
}
