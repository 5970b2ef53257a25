using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

/// <summary>Random reads, writes, truncates, range changes, copies, fsyncs, ticks, failures and crashes over several
/// files, each beside a plain array of bytes.</summary>
/// <remarks>After a crash a file shows what was fsynced, or anything that was written later: a byte is either its
/// durable value, or one that it had since; a file's size likewise.</remarks>
internal sealed class ModelWorkload : IAsyncDisposable
{
    private const int FileCount = 3;
    private const int MaxSize = 400_000;

    private readonly Random random;
    private readonly ClientWorld world;
    private readonly List<ModelFile> files = [];
    private readonly Action<MemorySession> plant;
    private bool failing;

    /// <param name="seed">Decides everything.</param>
    /// <param name="plant">Plants a bug into each session.</param>
    public ModelWorkload(int seed, Action<MemorySession>? plant = null)
    {
        random = new(seed);
        this.plant = session =>
        {
            session.SyncsWithCommits = seed % 2 == 0;
            plant?.Invoke(session);
        };
        world = new(ClientWorld.Still with { DirtyBytes = 4 << 20, BackgroundBytes = 1 << 20, ClosedFiles = 1 });
    }

    public async Task Run(int steps)
    {
        for (int i = 0; i < FileCount; i++) { files.Add(new(await world.Create($"f{i}"))); }
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        plant(world.Session);
        for (int step = 0; step < steps; step++)
        {
            await Step(files[random.Next(FileCount)]);
            if (step % 16 == 0)
            {
                foreach (ModelFile file in files) { await CheckAll(file); }
            }
        }

        await Recover();
        Assert.Equal(Status.Ok, await world.Client.SyncAllAsync());
        foreach (ModelFile file in files) { await CheckAll(file); }
        Assert.Equal(0, world.Client.DirtyMemory.RentedBuffers);
    }

    public ValueTask DisposeAsync() => world.DisposeAsync();

    private async Task Step(ModelFile file)
    {
        switch (random.Next(100))
        {
            case < 45: await Write(file); break;
            case < 60: await Read(file); break;
            case < 67: await Truncate(file); break;
            case < 73: await ChangeRange(file); break;
            case < 77: await Copy(file); break;
            case < 83: await Fsync(file); break;
            case < 88: await world.Age(); break;
            case < 91: await Fail(); break;
            case < 94: await Recover(); break;
            case < 97: await Reopen(file); break;
            case < 98: await SyncAll(); break;
            default: await Crash(); break;
        }
    }

    private async Task Write(ModelFile file)
    {
        int length = random.Next(4) switch
        {
            0 => random.Next(1, 200),
            1 => 4096,
            2 => random.Next(1, 20_000),
            _ => random.Next(1, 120_000),
        };
        int offset = random.Next(3) == 0 ? file.Size : random.Next(MaxSize - length);
        offset = Math.Min(offset, MaxSize - length);
        byte[] data = new byte[length];
        random.NextBytes(data);
        Reply<int> reply = await world.Client.WriteAsync(file.Handle, (ulong)offset, data, default);
        if (!reply.IsOk)
        {
            Assert.True(failing);
            return;
        }

        file.Write(offset, data.AsSpan(0, reply.Value));
    }

    private async Task Read(ModelFile file)
    {
        int offset = random.Next(MaxSize);
        byte[] read = await world.Read(file.Handle, (ulong)offset, random.Next(1, 60_000));
        int there = Math.Clamp(file.Size - offset, 0, read.Length);
        Assert.True(read.Length == there && read.AsSpan().SequenceEqual(file.Bytes.AsSpan(offset, there)));
    }

    private async Task Truncate(ModelFile file)
    {
        int size = random.Next(3) == 0 ? 0 : random.Next(MaxSize);
        Reply<NodeInfo> reply = await world.Client.SetAttributesAsync(
            new SetAttributesRequest { Node = file.Id, Mask = AttributeMask.Size, Size = (ulong)size });
        if (reply.IsOk) { file.Truncate(size); }
        else { Assert.True(failing); }
    }

    private async Task ChangeRange(ModelFile file)
    {
        const int Unit = 4096;
        RangeOperation operation = (RangeOperation)random.Next(1, 6);
        bool shifts = operation is RangeOperation.Collapse or RangeOperation.Insert;
        int offset = random.Next(MaxSize / 2);
        int length = random.Next(1, MaxSize / 4);
        if (shifts)
        {
            offset = offset / Unit * Unit;
            length = Math.Max(1, length / Unit) * Unit;
        }

        bool keep = operation == RangeOperation.PunchHole || (!shifts && random.Next(2) == 0);
        bool fits = operation switch
        {
            RangeOperation.Collapse => offset + length < file.Size,
            RangeOperation.Insert => offset < file.Size && file.Size + length <= MaxSize,
            _ => true,
        };
        if (!fits) { return; }
        Reply<NodeInfo> reply = await world.Client.ChangeRangeAsync(
            new(file.Id, operation, (ulong)offset, (ulong)length, keep));
        if (reply.Status == Status.NotSupported && shifts) { return; }
        if (reply.IsOk) { file.Change(operation, offset, length, keep); }
        else { Assert.True(failing, $"{operation} of {offset}+{length}: {reply.Status}"); }
    }

    private async Task Copy(ModelFile target)
    {
        ModelFile source = files[random.Next(FileCount)];
        int from = random.Next(MaxSize / 2);
        int to = random.Next(MaxSize / 2);
        int length = random.Next(1, MaxSize / 4);
        if (source == target || from >= source.Size) { return; }
        Reply<ulong> reply = await world.Client.CopyRangeAsync(
            new(source.Id, CowNumber.Head, (ulong)from, target.Id, (ulong)to, (ulong)length));
        if (reply.IsOk) { target.Write(to, source.Bytes.AsSpan(from, (int)reply.Value)); }
        else { Assert.True(failing); }
    }

    private async Task Fsync(ModelFile file)
    {
        Status status = await world.Client.FsyncAsync(file.Handle);
        if (status == Status.Ok) { file.NoteDurable(); }
        else { Assert.True(failing || file.MayTellOfFailure); }
        if (!failing) { file.MayTellOfFailure = false; }
    }

    private async Task SyncAll()
    {
        Status status = await world.Client.SyncAllAsync();
        if (status != Status.Ok)
        {
            Assert.True(failing);
            return;
        }

        foreach (ModelFile file in files) { file.NoteDurable(); }
    }

    /// <summary>The disk, or the log, is full from now on: nothing is lost, but nothing is committed.</summary>
    private Task Fail()
    {
        failing = true;
        foreach (ModelFile file in files) { file.MayTellOfFailure = true; }
        if (random.Next(2) == 0) { world.Blocks.OnWrite = () => random.Next(3) == 0 ? Status.Ok : Status.NoSpace; }
        else { world.Session.OnCommit = () => random.Next(3) == 0 ? Status.Ok : Status.NoSpace; }
        return Task.CompletedTask;
    }

    private async Task Recover()
    {
        failing = false;
        world.Blocks.OnWrite = null;
        world.Session.OnCommit = null;
        await world.Client.TickAsync();
    }

    private async Task Reopen(ModelFile file)
    {
        Assert.Equal(Status.Ok, await world.Client.CloseAsync(file.Handle));
        file.Handle = await world.Open(file.Id);
    }

    private async Task Crash()
    {
        await Recover();
        world.Crash(random.Next(world.Drive.UnsyncedCount + 1));
        plant(world.Session);
        foreach (ModelFile file in files)
        {
            file.Handle = await world.Open(file.Id);
            file.MayTellOfFailure = false;
            byte[] found = await world.Read(file.Handle, 0, MaxSize + 1);
            file.AdoptAfterCrash(found);
        }
    }

    private async Task CheckAll(ModelFile file)
    {
        VNode node = await world.Stat(file.Id);
        Assert.Equal((ulong)file.Size, node.Size);
        byte[] read = await world.Read(file.Handle, 0, MaxSize + 1);
        Assert.True(read.AsSpan().SequenceEqual(file.Bytes.AsSpan(0, file.Size)), "A file is not what it should be.");
    }

    /// <summary>What a file should be, and what a crash may leave of it.</summary>
    private sealed class ModelFile(OpenFile handle)
    {
        private readonly List<byte[]> since = [];
        private bool isKnownSince = true;
        private byte[] durable = [];

        public VNodeId Id { get; } = handle.Id;

        public OpenFile Handle { get; set; } = handle;

        public byte[] Bytes { get; } = new byte[(2 * MaxSize) + 1];

        public int Size { get; private set; }

        public bool MayTellOfFailure { get; set; }

        public void Write(int offset, ReadOnlySpan<byte> data)
        {
            data.CopyTo(Bytes.AsSpan(offset));
            Size = Math.Max(Size, offset + data.Length);
            NoteChange();
        }

        public void Truncate(int size)
        {
            if (size < Size) { Bytes.AsSpan(size, Size - size).Clear(); }
            Size = size;
            NoteChange();
        }

        public void Change(RangeOperation operation, int offset, int length, bool keep)
        {
            switch (operation)
            {
                case RangeOperation.PunchHole or RangeOperation.Zero:
                    int end = Math.Min(Size, offset + length);
                    if (offset < end) { Bytes.AsSpan(offset, end - offset).Clear(); }
                    break;
                case RangeOperation.Collapse:
                    Bytes.AsSpan((offset + length)..Size).CopyTo(Bytes.AsSpan(offset));
                    Bytes.AsSpan(Size - length, length).Clear();
                    Size -= length;
                    break;
                case RangeOperation.Insert:
                    Bytes.AsSpan(offset..Size).CopyTo(Bytes.AsSpan(offset + length));
                    Bytes.AsSpan(offset, length).Clear();
                    Size += length;
                    break;
                default:
                    break;
            }

            bool grows = operation is RangeOperation.Allocate or RangeOperation.Zero && !keep;
            if (grows) { Size = Math.Max(Size, offset + length); }
            isKnownSince &= operation is not (RangeOperation.Collapse or RangeOperation.Insert);
            NoteChange();
        }

        public void NoteDurable()
        {
            durable = Bytes[..Size];
            since.Clear();
            isKnownSince = true;
        }

        /// <summary>Checks what a crash left, and goes on from there.</summary>
        public void AdoptAfterCrash(byte[] found)
        {
            if (since.Count == 0) { Assert.True(found.AsSpan().SequenceEqual(durable), "Fsynced data is lost."); }
            for (int at = 0; at < found.Length && isKnownSince; at++)
            {
                byte value = found[at];
                bool isExpected = value == ValueAt(durable, at);
                for (int i = 0; !isExpected && i < since.Count; i++) { isExpected = value == ValueAt(since[i], at); }
                Assert.True(isExpected, $"Byte {at} was never {value}.");
            }

            Bytes.AsSpan().Clear();
            found.CopyTo(Bytes, 0);
            Size = found.Length;
            NoteDurable();
        }

        private static byte ValueAt(byte[] bytes, int at) => at < bytes.Length ? bytes[at] : (byte)0;

        private void NoteChange() => since.Add(Bytes[..Size]);
    }
}
