using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Simulation.Pool;

namespace KvFs.Pool.Tests;

/// <summary>A list in a file of a shared drive: several clients append numbers to it and read all of it, and what all of them saw.
/// </summary>
/// <remarks>A number whose append was not answered is not appended again: it may be there, or not, or come later.</remarks>
internal sealed class SharedList : IAsyncDisposable
{
    private const int Clients = 3;

    /// <summary>The first numbers of a client; the next client's are as far away.</summary>
    private const long NumbersOfClient = 1_000_000;

    /// <summary>Between two operations of one client: more would only make the history longer.</summary>
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(8);

    /// <summary>A client that is a program on a mount. It says when it began an append, and when one was answered; when it read, and of what it
    /// saw how much it had seen before, and the rest.</summary>
    private const string Member = """
        import os, select, struct, sys, time
        list, number, seen = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND), int(sys.argv[2]), ()
        while not select.select([sys.stdin], [], [], 0.008)[0]:
            number += 1
            print('begin', number, time.monotonic_ns())
            assert os.write(list, number.to_bytes(8, 'little')) == 8
            print('append', number, time.monotonic_ns())
            began = time.monotonic_ns()
            data = os.pread(list, 1 << 18, 0)
            ended = time.monotonic_ns()
            values = struct.unpack(f'<{len(data) // 8}q', data)
            known = len(seen) if values[:len(seen)] == seen else 0
            print('read', began, ended, known, *values[known:])
            seen = values
        """;

    private readonly PoolProcesses pool;
    private readonly string drive;
    private readonly List<MountProgram> members = [];
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentQueue<PoolOperation> history = new();
    private readonly long began = TimeProvider.System.GetTimestamp();
    private readonly Task[] working;
    private int appended;

    private SharedList(PoolProcesses pool, string drive)
    {
        this.pool = pool;
        this.drive = drive;
        working = [.. Enumerable.Range(1, Clients).Select(client => Task.Run(() => WorkAsync(client)))];
    }

    /// <summary>Appends that were answered.</summary>
    public int Appended => Volatile.Read(ref appended);

    public int Operations => history.Count;

    /// <summary>Makes the drive and the file, and begins.</summary>
    public static async Task<SharedList> StartAsync(PoolProcesses pool, string drive)
    {
        Reply<DriveInfo> made = await pool.Admin.CreateDriveAsync(new(drive, DriveKind.FileSystem, 0, 0), CancellationToken.None);
        Assert.Equal(Status.Ok, made.Status);
        await using (DriveClient client = await Sessions.OpenSharedAsync(pool, drive)) { await Files.WriteAsync(client, "list", []); }
        SharedList list = new(pool, drive);
        await list.MoreAsync(Clients);
        return list;
    }

    /// <summary>Has a program on a mount of the drive take part.</summary>
    public MountProgram Join(PoolMount mount)
    {
        string first = ((Clients + members.Count + 1) * NumbersOfClient).ToString(CultureInfo.InvariantCulture);
        MountProgram member = MountProgram.Python(Member, Path.Combine(mount.Path, "list"), first);
        members.Add(member);
        return member;
    }

    /// <summary>Waits until so many more appends of who has no mount are answered.</summary>
    public async Task MoreAsync(int appends)
    {
        int until = Appended + appends;
        await PoolWorld.UntilAsync(
            async () =>
            {
                foreach (Task work in working.Where(static work => work.IsFaulted)) { await work; }
                return Appended >= until ? this : null;
            },
            () => $"nobody appends to the list of drive {drive}:\n{pool.Log}");
    }

    /// <summary>Ends, reads the list as somebody who has just come, and checks the history.</summary>
    public async Task CheckAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(working);
        foreach (MountProgram member in members)
        {
            if (member.Runs) { await member.EndAsync(); }
            Note(member.Lines);
        }

        await using DriveClient client = await Sessions.OpenSharedAsync(pool, drive);
        byte[] content = await Files.ReadAsync(client, "list");
        Assert.Equal(0, content.Length % sizeof(long));
        Assert.Null(PoolHistory.Check([.. history], MemoryMarshal.Cast<byte, long>(content).ToArray()));
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        foreach (Task work in working) { await work.ContinueWith(static _ => { }, TaskScheduler.Default); }
        foreach (MountProgram member in members) { member.Dispose(); }
        stop.Dispose();
    }

    private TimeSpan Now => TimeProvider.System.GetElapsedTime(began);

    /// <summary>Adds what a member said to the history. Its clock is this process's, too: CLOCK_MONOTONIC.</summary>
    private void Note(string[] lines)
    {
        PoolOperation? append = null;
        long[] seen = [];
        foreach (string line in lines)
        {
            (string what, long[] told) = (line.Split(' ')[0], [.. line.Split(' ').Skip(1).Select(static number => long.Parse(number, CultureInfo.InvariantCulture))]);
            if (what == "begin") { history.Enqueue(append = new() { Shard = 0, Value = told[0], Began = At(told[1]) }); }
            else if (what == "append") { append!.Ended = At(told[1]); }
            else
            {
                seen = [.. seen[..(int)told[2]], .. told[3..]];
                history.Enqueue(new() { Shard = 0, Value = 0, Began = At(told[0]), Ended = At(told[1]), Seen = seen });
            }
        }

        TimeSpan At(long timestamp) => TimeProvider.System.GetElapsedTime(began, timestamp);
    }

    private async Task WorkAsync(int client)
    {
        long number = client * NumbersOfClient;
        while (!stop.IsCancellationRequested)
        {
            if (await Sessions.OpenAsync(pool, drive, stop.Token, SessionAccess.Shared) is not { } session) { return; }
            await using DriveClient open = new(SessionMemory.Around(session, TimeProvider.System), new(), TimeProvider.System);
            number = await WorkAsync(open, number);
        }
    }

    /// <summary>Appends and reads until the session is over.</summary>
    private async Task<long> WorkAsync(DriveClient client, long number)
    {
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, "list"u8, CowNumber.Head);
        if (!found.IsOk) { return number; }
        Reply<OpenFile> list = await client.OpenAsync(found.Value.Id, CowNumber.Head);
        if (!list.IsOk) { return number; }
        using PeriodicTimer pace = new(s_pace);
        while (!stop.IsCancellationRequested)
        {
            Status appendedAs = await AppendAsync(client, list.Value, ++number);
            await pace.WaitForNextTickAsync(CancellationToken.None);
            Status readAs = await ReadAsync(client, list.Value);
            await pace.WaitForNextTickAsync(CancellationToken.None);
            if (appendedAs == Status.SessionExpired || readAs == Status.SessionExpired) { return number; }
        }

        return number;
    }

    private async Task<Status> AppendAsync(DriveClient client, OpenFile list, long number)
    {
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        PoolOperation operation = new() { Shard = 0, Value = number, Began = Now };
        history.Enqueue(operation);
        Reply<int> written = await client.WriteAsync(list, 0, bytes, new(KillSetId: false, Sync: false, Append: true));
        if (!written.IsOk) { return written.Status; }
        operation.Ended = Now;
        Interlocked.Increment(ref appended);
        return Status.Ok;
    }

    private async Task<Status> ReadAsync(DriveClient client, OpenFile list)
    {
        PoolOperation operation = new() { Shard = 0, Value = 0, Began = Now };

        // One read: two would not be one moment.
        byte[] bytes = new byte[1 << 20];
        Reply<int> read = await client.ReadAsync(list, 0, bytes);
        if (!read.IsOk) { return read.Status; }
        Assert.Equal(0, read.Value % sizeof(long));
        operation.Seen = MemoryMarshal.Cast<byte, long>(bytes.AsSpan(0, read.Value)).ToArray();
        operation.Ended = Now;
        history.Enqueue(operation);
        return Status.Ok;
    }
}
