using System.Buffers.Binary;
using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Simulation.Pool;

namespace KvFs.Pool.Tests;

/// <summary>A register on a drive, counted up by one, read by several at the same time, and what all of them saw.</summary>
/// <remarks>
/// The number k is written once k − 1 is answered, and is written again if nobody knows what became of it: so a read that shows k has
/// seen the list 1, …, k, and the exact checker of lists tells whether all this can have happened one after the other.
/// </remarks>
internal sealed class RegisterUse : IAsyncDisposable
{
    private const int MostWrites = 100_000;

    private const int Readers = 2;

    /// <summary>Between two reads, and two writes: more would only make the history longer.</summary>
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(4);

    private static readonly long[] s_counted = [.. Enumerable.Range(1, MostWrites).Select(static number => (long)number)];

    private readonly PoolProcesses pool;
    private readonly string drive;
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentQueue<PoolOperation> history = new();
    private readonly long began = TimeProvider.System.GetTimestamp();
    private readonly Task writing;
    private TimeSpan last;
    private TimeSpan longest;
    private VNodeId register;
    private Status answered;
    private string waits = "a session";
    private int written;
    private readonly ConcurrentQueue<string> failures = new();

    private RegisterUse(PoolProcesses pool, string drive)
    {
        this.pool = pool;
        this.drive = drive;
        writing = Task.Run(WriteAsync);
    }

    /// <summary>Writes that were answered.</summary>
    public int Written => Volatile.Read(ref written);

    public int Operations => history.Count;

    /// <summary>What was answered with anything but Ok, and sessions that ended.</summary>
    public IReadOnlyCollection<string> Failures => failures;

    /// <summary>Makes the drive, and begins.</summary>
    public static async Task<RegisterUse> StartAsync(PoolProcesses pool, string drive)
    {
        Reply<DriveInfo> made = await pool.Admin.CreateDriveAsync(new(drive, DriveKind.FileSystem, 0, 0), CancellationToken.None);
        Assert.Equal(Status.Ok, made.Status);
        RegisterUse use = new(pool, drive);
        await use.MoreAsync(1);
        return use;
    }

    /// <summary>Waits until so many more writes are answered.</summary>
    public async Task MoreAsync(int writes)
    {
        int until = Written + writes;
        await PoolWorld.UntilAsync(
            () =>
            {
                if (writing.IsFaulted) { writing.GetAwaiter().GetResult(); }
                return Task.FromResult(Written >= until ? this : null);
            },
            () => $"the register of drive {drive} is not written, it waits for {waits}, and was last answered {answered}:\n{pool.Log}");
    }

    /// <summary>The longest time between two answered writes since that was last asked.</summary>
    public TimeSpan TakeLongestPause()
    {
        TimeSpan pause = longest;
        longest = TimeSpan.Zero;
        return pause;
    }

    /// <summary>Ends, reads the register as somebody who has just come, and checks the history.</summary>
    public async Task CheckAsync()
    {
        await stop.CancelAsync();
        await writing;
        await using IDriveSession session = (await Sessions.OpenAsync(pool, drive, CancellationToken.None))!;
        Assert.Equal(Status.Ok, await ReadAsync(session));
        ReadOnlyMemory<long> final = history.Last().Seen;
        Assert.Null(PoolHistory.Check([.. history], final.ToArray()));
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await writing.ContinueWith(static _ => { }, TaskScheduler.Default);
        stop.Dispose();
    }

    private TimeSpan Now => TimeProvider.System.GetElapsedTime(began);

    private async Task WriteAsync()
    {
        PoolOperation operation = Next();
        while (!stop.IsCancellationRequested)
        {
            if (await Sessions.OpenAsync(pool, drive, stop.Token) is not { } session) { return; }
            await using IDriveSession open = session;
            waits = "an answer";
            if (!await MakeAsync(session)) { continue; }
            using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
            Task[] reading = [.. Enumerable.Range(0, Readers).Select(_ => Task.Run(() => ReadOnAsync(session, over.Token)))];
            operation = await WriteOnAsync(session, operation);
            waits = "the end of a session";
            if (!stop.IsCancellationRequested) { failures.Enqueue("the end of a session"); }
            await over.CancelAsync();
            await Task.WhenAll(reading);
        }
    }

    /// <summary>Writes until the session is over.</summary>
    private async Task<PoolOperation> WriteOnAsync(IDriveSession session, PoolOperation operation)
    {
        using PeriodicTimer pace = new(s_pace);
        while (!stop.IsCancellationRequested)
        {
            Status status = answered = await WriteAsync(session, operation.Value);
            if (status != Status.Ok && !stop.IsCancellationRequested) { failures.Enqueue($"write {status}"); }
            if (status == Status.SessionExpired) { return operation; }

            // Else nobody knows what became of it, or it was refused: the same again.
            if (status == Status.Ok)
            {
                operation.Ended = Now;
                if (operation.Ended.Value - last > longest) { longest = operation.Ended.Value - last; }
                last = operation.Ended.Value;
                Interlocked.Increment(ref written);
                operation = Next();
            }

            await pace.WaitForNextTickAsync(CancellationToken.None);
        }

        return operation;
    }

    private PoolOperation Next()
    {
        PoolOperation next = new() { Shard = 0, Value = Written + 1, Began = Now };
        history.Enqueue(next);
        return next;
    }

    /// <summary>Makes the file that has the register, or finds it.</summary>
    private async Task<bool> MakeAsync(IDriveSession session)
    {
        if (register != default) { return true; }
        ValueTask<Reply<NodeInfo>> made = session.CreateAsync(new()
        {
            Parent = VNodeId.Root, Name = "register"u8, Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<NodeInfo> node = await made;
        if (node.Status == Status.Exists) { node = await session.LookupAsync(VNodeId.Root, "register"u8, CowNumber.Head); }
        if (node.IsOk) { register = node.Value.Id; }
        return node.IsOk;
    }

    private async Task<Status> WriteAsync(IDriveSession session, long value)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)value);
        ValueTask<Status> answer = session.SetXattrAsync(new() { Node = register, Name = "user.register"u8, Value = bytes });
        return await answer;
    }

    private async Task ReadOnAsync(IDriveSession session, CancellationToken over)
    {
        using PeriodicTimer pace = new(s_pace);
        while (!over.IsCancellationRequested)
        {
            Status status = await ReadAsync(session);
            if (status != Status.Ok && !over.IsCancellationRequested) { failures.Enqueue($"read {status}"); }
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    /// <summary>Reads once; what is answered is part of the history.</summary>
    private async Task<Status> ReadAsync(IDriveSession session)
    {
        PoolOperation operation = new() { Shard = 0, Value = 0, Began = Now };
        ByteBuffer value = new();
        Status status = await session.GetXattrAsync(register, CowNumber.Head, "user.register"u8, value);
        if (status is not (Status.Ok or Status.NoAttribute)) { return status; }
        operation.Seen = s_counted.AsMemory(0, status == Status.Ok ? BinaryPrimitives.ReadInt32LittleEndian(value.Span) : 0);
        operation.Ended = Now;
        history.Enqueue(operation);
        return Status.Ok;
    }
}
