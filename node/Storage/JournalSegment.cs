using KvFs.Core;
using KvFs.Memory;

namespace KvFs.Node.Storage;

/// <summary>One file of the journal, that is written from its begin to its end, and then again.</summary>
/// <remarks>Not thread safe, but for <see cref="Sync"/>. The file has its whole length on the disk before its first record is
/// written, so a sync of a record stores its bytes and nothing of the file system's.</remarks>
internal sealed class JournalSegment(string path, IDiskFile file, int bytes) : IDisposable
{
    /// <summary>Bytes that are written at once when a file is made.</summary>
    private const int ZeroBytes = 1 << 20;

    private readonly IDiskFile file = file;
    private ulong salt;

    internal string Path { get; } = path;

    /// <summary>Bytes of the file.</summary>
    internal int Bytes { get; } = bytes;

    /// <summary>The number of the last record in it.</summary>
    internal ulong Last { get; private set; }

    /// <summary>Where the next record goes.</summary>
    internal int Position { get; private set; } = JournalFormat.PageBytes;

    /// <summary>Bytes that are left for records.</summary>
    internal int Room => Bytes - JournalFormat.PageBytes - Position;

    /// <summary>Fills a new file with zeros, by writing them.</summary>
    /// <remarks>Blocks that are only reserved would be marked as written by the sync of every record.</remarks>
    internal Status Fill()
    {
        using AlignedMemory zeros = new(Math.Min(Bytes, ZeroBytes));
        zeros.GetSpan().Clear();
        for (int done = 0; done < Bytes; done += ZeroBytes)
        {
            Status status = file.Write(done, zeros.GetSpan()[..Math.Min(ZeroBytes, Bytes - done)]);
            if (status != Status.Ok) { return status; }
        }

        return file.Sync();
    }

    /// <summary>Begins the segment anew: records that are in the file are none any more.</summary>
    /// <remarks>The two headers become durable one after the other, so that one of them is always whole.</remarks>
    internal Status Begin(ulong sequence, ulong newSalt, ulong journal)
    {
        salt = newSalt;
        Last = 0;
        Position = JournalFormat.PageBytes;
        Span<byte> header = stackalloc byte[JournalFormat.HeaderBytes];
        JournalFormat.WriteHeader(header, new(Bytes, sequence, newSalt, journal));
        foreach (int place in (ReadOnlySpan<int>)[0, Bytes - JournalFormat.PageBytes])
        {
            Status status = file.Write(place, header);
            if (status == Status.Ok) { status = file.Sync(); }
            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }

    /// <summary>Writes a record, for which there is room: it is in the operating system's memory when this returns.</summary>
    /// <remarks>Of a page that it begins, all is written: the kernel need not read the old one, which a segment that is used
    /// again may have on the disk only.</remarks>
    internal Status Append(in JournalRecord record, ReadOnlySpan<byte> payload, ByteBuffer scratch)
    {
        int size = JournalFormat.SizeOf(payload.Length);
        Invariant.Check(size <= Room);
        int end = Position + size;
        int pagesEnd = (end + JournalFormat.PageBytes - 1) & ~(JournalFormat.PageBytes - 1);
        bool beginsPage = Position % JournalFormat.PageBytes == 0 || end > PageEnd(Position);
        scratch.Clear();
        Span<byte> bytes = scratch.Extend(beginsPage ? pagesEnd - Position : size);
        JournalFormat.WriteRecord(bytes, salt, record, payload);
        bytes[size..].Clear();
        Status status = file.Write(Position, bytes);
        if (status != Status.Ok) { return status; }
        Position = end;
        Last = record.Number;
        return Status.Ok;
    }

    /// <summary>Puts another record in the place of one, behind which there is none.</summary>
    internal Status Replace(int position, in JournalRecord record, ByteBuffer scratch)
    {
        Position = position;
        return Append(record, [], scratch);
    }

    internal Status Sync() => file.Sync();

    public void Dispose() => file.Dispose();

    private static int PageEnd(int position) => (position | (JournalFormat.PageBytes - 1)) + 1;
}
