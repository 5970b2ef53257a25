using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>A file that knows what of it is on the platter and what is still on its way.</summary>
/// <remarks>Pages are never changed in place, so copies of a file share them.</remarks>
internal sealed class SimulatedFile(SimulatedDisk disk)
{
    internal const int PageBytes = 4096;
    private const int SectorBytes = 512;

    private readonly List<Change> unsynced = [];
    private Dictionary<long, byte[]> durable = [];
    private Dictionary<long, byte[]> current = [];
    private long durableLength;

    /// <summary>A write of <paramref name="Data"/>, or, without data, a hole of <paramref name="Length"/> bytes.</summary>
    private readonly record struct Change(long Offset, long Length, byte[]? Data, long FileLength);

    internal long Length { get; private set; }

    internal int PageCount => current.Count;

    internal int Read(long offset, Span<byte> destination)
    {
        int count = (int)Math.Clamp(Length - offset, 0, destination.Length);
        destination = destination[..count];
        for (int done = 0; done < count;)
        {
            long position = offset + done;
            int inPage = (int)(position % PageBytes);
            int part = Math.Min(PageBytes - inPage, count - done);
            if (current.TryGetValue(position / PageBytes, out byte[]? page))
            {
                page.AsSpan(inPage, part).CopyTo(destination[done..]);
            }
            else
            {
                destination.Slice(done, part).Clear();
            }

            done += part;
        }

        return count;
    }

    /// <summary>How many pages a write would add.</summary>
    internal int CountNewPages(long offset, int length)
    {
        int count = 0;
        for (long page = offset / PageBytes; page * PageBytes < offset + length; page++)
        {
            if (!current.ContainsKey(page)) { count++; }
        }

        return count;
    }

    internal void Write(long offset, ReadOnlySpan<byte> source)
    {
        byte[] data = source.ToArray();
        Length = Math.Max(Length, offset + data.Length);
        unsynced.Add(new Change(offset, data.Length, data, Length));
        Put(current, offset, data, static _ => true);
    }

    internal void Punch(long offset, long length)
    {
        unsynced.Add(new Change(offset, length, null, Length));
        Erase(current, offset, length);
    }

    internal void SetLength(long length)
    {
        if (length < Length) { Erase(current, length, Length - length); }
        unsynced.Add(new Change(length, Math.Max(0, Length - length), null, length));
        Length = length;
    }

    internal void Sync()
    {
        durable = new Dictionary<long, byte[]>(current);
        durableLength = Length;
        unsynced.Clear();
    }

    /// <summary>The file as it is found after the machine stopped: synced bytes, and of the rest what chance let reach
    /// the platter, sector by sector.</summary>
    internal SimulatedFile AfterPowerCut(SimulatedDisk target, Random chance)
    {
        SimulatedFile copy = new(target) { durable = new Dictionary<long, byte[]>(durable), durableLength = durableLength };
        int mood = chance.Next(3);
        foreach (Change change in unsynced)
        {
            bool Survives(long sector) => mood switch { 0 => false, 1 => true, _ => chance.Next(2) == 0 };
            if (change.Data is { } data) { Put(copy.durable, change.Offset, data, Survives); }
            else if (Survives(0)) { Erase(copy.durable, change.Offset, change.Length); }
            if (Survives(0)) { copy.durableLength = change.FileLength; }
        }

        copy.current = new Dictionary<long, byte[]>(copy.durable);
        copy.Length = copy.durableLength;
        Erase(copy.current, copy.Length, long.MaxValue - copy.Length);
        copy.durable = new Dictionary<long, byte[]>(copy.current);
        return copy;
    }

    /// <summary>The file as it is: the process ended, the machine did not.</summary>
    internal SimulatedFile AfterKill(SimulatedDisk target)
    {
        SimulatedFile copy = new(target)
        {
            durable = new Dictionary<long, byte[]>(durable),
            durableLength = durableLength,
            current = new Dictionary<long, byte[]>(current),
            Length = Length,
        };
        copy.unsynced.AddRange(unsynced);
        return copy;
    }

    /// <summary>Flips a bit on the platter.</summary>
    internal void Rot(long offset)
    {
        byte[] one = new byte[1];
        Read(offset, one);
        one[0] ^= 0x10;
        Put(current, offset, one, static _ => true);
        Put(durable, offset, one, static _ => true);
    }

    internal Handle OpenHandle() => new(disk, this);

    private static void Put(Dictionary<long, byte[]> pages, long offset, byte[] data, Func<long, bool> survives)
    {
        for (int done = 0; done < data.Length;)
        {
            long position = offset + done;
            byte[] page = pages.TryGetValue(position / PageBytes, out byte[]? old) ? (byte[])old.Clone() : new byte[PageBytes];
            int pageEnd = (int)Math.Min(data.Length, done + PageBytes - (position % PageBytes));
            bool changed = false;
            while (done < pageEnd)
            {
                position = offset + done;
                int part = (int)Math.Min(SectorBytes - (position % SectorBytes), pageEnd - done);
                if (survives(position / SectorBytes))
                {
                    data.AsSpan(done, part).CopyTo(page.AsSpan((int)(position % PageBytes)));
                    changed = true;
                }

                done += part;
            }

            if (changed) { pages[(offset + done - 1) / PageBytes] = page; }
        }
    }

    private static void Erase(Dictionary<long, byte[]> pages, long offset, long length)
    {
        foreach (long page in pages.Keys.ToArray())
        {
            long start = Math.Max(offset, page * PageBytes);
            long end = Math.Min(offset + Math.Min(length, long.MaxValue - offset), (page + 1) * PageBytes);
            if (start >= end) { continue; }
            if (end - start == PageBytes)
            {
                pages.Remove(page);
                continue;
            }

            byte[] cut = (byte[])pages[page].Clone();
            cut.AsSpan((int)(start - (page * PageBytes)), (int)(end - start)).Clear();
            pages[page] = cut;
        }
    }

    /// <summary>An open file: asks the disk, which may fail it.</summary>
    internal sealed class Handle(SimulatedDisk disk, SimulatedFile file) : IDiskFile
    {
        public Status GetLength(out long length)
        {
            length = file.Length;
            return Status.Ok;
        }

        public Status Read(long offset, Span<byte> destination, out int read)
        {
            read = 0;
            Status status = disk.Ask(DiskOperation.Read);
            if (status == Status.Ok) { read = file.Read(offset, destination); }
            return status;
        }

        public Status Write(long offset, ReadOnlySpan<byte> source)
        {
            Status status = disk.Ask(DiskOperation.Write);
            if (status != Status.Ok) { return status; }
            if (!disk.HasRoom(file.CountNewPages(offset, source.Length))) { return Status.NoSpace; }
            file.Write(offset, source);
            disk.OnPersistencePoint();
            return Status.Ok;
        }

        public Status Sync()
        {
            Status status = disk.Ask(DiskOperation.Sync);
            if (status != Status.Ok) { return status; }
            file.Sync();
            disk.OnPersistencePoint();
            return Status.Ok;
        }

        public Status SetLength(long length)
        {
            Status status = disk.Ask(DiskOperation.Resize);
            if (status != Status.Ok) { return status; }
            file.SetLength(length);
            disk.OnPersistencePoint();
            return Status.Ok;
        }

        public Status PunchHole(long offset, long length)
        {
            Status status = disk.Ask(DiskOperation.Resize);
            if (status != Status.Ok) { return status; }
            file.Punch(offset, length);
            disk.OnPersistencePoint();
            return Status.Ok;
        }

        public void Prefetch(long offset, long length)
        {
        }

        public void Dispose()
        {
        }
    }
}
