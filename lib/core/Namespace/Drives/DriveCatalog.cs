using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>A drive as the catalog has it.</summary>
public sealed record DriveEntry(DriveId Drive, DrivePolicy Policy)
{
    /// <summary>Its user has not deleted it: its name is taken.</summary>
    public bool IsVisible => (Policy.Flags & (DriveFlags.Hidden | DriveFlags.Deleting)) == 0;
}

/// <summary>All drives whose records are in one place, by RUID: who has which name.</summary>
/// <remarks>Immutable. There is no index of names: drives are few, and whoever lists them steps from one's records over to
/// the next one's. Read again after each change of a drive.</remarks>
public sealed class DriveCatalog
{
    private DriveCatalog(ImmutableArray<DriveEntry> entries) => Entries = entries;

    /// <summary>Ascending by RUID, which is by age; hidden ones included.</summary>
    public ImmutableArray<DriveEntry> Entries { get; }

    /// <summary>Finds every drive: one seek and one read for each.</summary>
    /// <exception cref="RecordCorruptException">A drive's record is damaged, or it has others but this one.</exception>
    public static DriveCatalog Read(IRecordReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ImmutableArray<DriveEntry>.Builder entries = ImmutableArray.CreateBuilder<DriveEntry>();
        ByteBuffer payload = new();
        DriveId next = new(1);  // 0 is no drive: the shards' applied marks are there.
        while (TryFindFrom(reader, next, out DriveId drive))
        {
            StoredDriveView view = new(reader, [new(drive, CowNumber.Head)]);
            RecordKey key = RecordKey.Single(RecordKind.Drive);
            if (!view.TryGet(ref key, payload) || !DrivePolicy.TryDecode(payload.Span, out DrivePolicy? policy))
            {
                throw new RecordCorruptException(Status.Corrupt, key.In(drive));
            }

            entries.Add(new(drive, policy!));
            if (drive.Value == UInt128.MaxValue) { break; }
            next = new(drive.Value + 1);
        }

        return new(entries.ToImmutable());
    }

    /// <summary>A catalog of drives that the caller knows, ascending by RUID.</summary>
    public static DriveCatalog Of(IEnumerable<DriveEntry> entries) => new([.. entries]);

    /// <summary>The drive that has a name; null if none does.</summary>
    public DriveEntry? Find(string name)
    {
        foreach (DriveEntry entry in Entries)
        {
            if (entry.IsVisible && entry.Policy.Name == name) { return entry; }
        }

        return null;
    }

    /// <summary>A drive by its id, hidden ones included; null if there is none.</summary>
    public DriveEntry? Find(DriveId drive)
    {
        foreach (DriveEntry entry in Entries)
        {
            if (entry.Drive == drive) { return entry; }
        }

        return null;
    }

    private static bool TryFindFrom(IRecordReader reader, DriveId from, out DriveId drive)
    {
        Span<byte> first = stackalloc byte[DriveId.Size];
        from.Write(first);
        using IRecordCursor cursor = reader.OpenCursor(first, default);
        bool found = cursor.MoveNext();
        if (found && cursor.Key.Length < DriveId.Size) { throw new RecordCorruptException(Status.Corrupt, cursor.Key); }
        drive = found ? DriveId.Read(cursor.Key) : default;
        return found;
    }
}
