using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>The folder of a drive, <c>drives/&lt;RUID&gt;/{idvd,.bitmap,.meta}</c>: makes it, checks it, removes it.</summary>
/// <remarks>Every step is durable before the next one starts, so a crash leaves a folder that the drive's record in
/// <c>sys</c> explains. What is not ours in there is never touched.</remarks>
internal sealed class DriveFolder(IDisk disk, DriveId drive)
{
    internal const string Parent = "drives";

    private const string Idvd = "idvd";
    private const string Bitmap = ".bitmap";
    private const string NewBitmap = ".bitmap.new";
    private const string Meta = ".meta";

    private readonly string path = $"{Parent}/{drive}";

    internal string IdvdPath => $"{path}/{Idvd}";

    /// <summary>Makes the folder with an empty idvd. A half made one of an earlier try must have been removed.</summary>
    internal Status Create(DiskId diskId)
    {
        byte[] superblock = new byte[Superblock.Size];
        new Superblock(drive, diskId).Write(superblock);
        Status status = disk.CreateDirectory(path);
        if (status == Status.Ok) { status = WriteFile(Meta, superblock); }
        if (status == Status.Ok) { status = WriteFile(Idvd, []); }
        if (status == Status.Ok) { status = disk.SyncDirectory(path); }
        return status == Status.Ok ? disk.SyncDirectory(Parent) : status;
    }

    /// <summary>Removes the folder, as far as it is ours; one that is not there is removed already.</summary>
    /// <returns>Ok; NotEmpty: ours is gone, and files of somebody else remain.</returns>
    internal Status Remove()
    {
        // The superblock goes last: while it is there, the folder says whose it is.
        foreach (string file in (ReadOnlySpan<string>)[NewBitmap, Bitmap, Idvd, Meta])
        {
            Status deleted = disk.DeleteFile($"{path}/{file}");
            if (deleted is not (Status.Ok or Status.NotFound)) { return deleted; }
        }

        Status removed = disk.DeleteDirectory(path);
        if (removed is not (Status.Ok or Status.NotFound)) { return removed; }
        return disk.SyncDirectory(Parent);
    }

    /// <summary>Checks whose folder it is.</summary>
    internal StorageResult CheckSuperblock(DiskId diskId)
    {
        Status read = ReadFile(Meta, Superblock.Size, out byte[] bytes);
        if (read != Status.Ok)
        {
            return new(read, $"'{path}/{Meta}' cannot be read ({read}). Restore it from a backup of the data folder.");
        }

        Status status = Superblock.Read(bytes, out Superblock superblock);
        if (status == Status.NotSupported)
        {
            return new(status, $"'{path}' has a format that this version does not know. Use the newer KvFs that wrote it.");
        }

        if (status != Status.Ok)
        {
            return new(status, $"'{path}/{Meta}' is damaged or empty. Restore it from a backup of the data folder; nothing "
                + "was changed.");
        }

        if (superblock.Drive != drive || superblock.Disk != diskId)
        {
            return new(Status.Conflict, $"'{path}' belongs to drive {superblock.Drive} on disk {superblock.Disk}, not to "
                + $"this disk ({diskId}). Move it back to where it came from; nothing was changed.");
        }

        return StorageResult.Ok;
    }

    internal Status OpenIdvd(out IDiskFile? idvd) => disk.Open(IdvdPath, out idvd);

    /// <summary>Reads the bitmap; anything but Ok means that the caller rebuilds it.</summary>
    internal Status LoadBitmap(out ulong generation, out BuddyAllocator allocator)
    {
        generation = 0;
        allocator = new BuddyAllocator();
        Status read = ReadFile(Bitmap, int.MaxValue, out byte[] bytes);
        return read == Status.Ok ? BitmapCheckpoint.Read(bytes, drive, out generation, out allocator) : read;
    }

    /// <summary>Replaces the bitmap: afterwards it is the old one or the new one, whole.</summary>
    internal Status SaveBitmap(ulong generation, BuddyAllocator allocator)
    {
        ByteBuffer content = new();
        BitmapCheckpoint.Write(drive, generation, allocator, content);
        Status status = disk.DeleteFile($"{path}/{NewBitmap}");
        if (status is not (Status.Ok or Status.NotFound)) { return status; }
        status = WriteFile(NewBitmap, content.Span);
        if (status == Status.Ok) { status = disk.Rename($"{path}/{NewBitmap}", $"{path}/{Bitmap}"); }
        return status == Status.Ok ? disk.SyncDirectory(path) : status;
    }

    private Status WriteFile(string name, ReadOnlySpan<byte> content)
    {
        Status status = disk.Create($"{path}/{name}", out IDiskFile? file);
        if (file is null) { return status; }
        using (file)
        {
            status = file.Write(0, content);
            return status == Status.Ok ? file.Sync() : status;
        }
    }

    private Status ReadFile(string name, int maxBytes, out byte[] content)
    {
        content = [];
        Status status = disk.Open($"{path}/{name}", out IDiskFile? file);
        if (file is null) { return status; }
        using (file)
        {
            status = file.GetLength(out long length);
            if (status != Status.Ok) { return status; }
            if (length > maxBytes) { return Status.Corrupt; }
            content = new byte[length];
            status = file.Read(0, content, out int read);
            return status == Status.Ok && read < content.Length ? Status.Corrupt : status;
        }
    }
}
