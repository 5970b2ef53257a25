using System.Collections.Concurrent;
using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>Somebody who writes file after file to a drive of a pool, and knows which of them must be there.</summary>
/// <remarks>A file counts once its fsync is answered with Ok. What was not answered may be there or not.</remarks>
internal sealed class FileWriter : IAsyncDisposable
{
    private readonly PoolProcesses pool;
    private readonly string drive;
    private readonly int spread;
    private readonly CancellationTokenSource stop = new();
    private readonly List<int> synced = [];
    private readonly Task writing;
    private long last = TimeProvider.System.GetTimestamp();
    private int count;
    private readonly ConcurrentQueue<string> failures = new();

    private FileWriter(PoolProcesses pool, string drive, int spread)
    {
        this.pool = pool;
        this.drive = drive;
        this.spread = spread;
        writing = Task.Run(WriteAsync);
    }

    /// <summary>The longest time between two files since that was last asked.</summary>
    public TimeSpan LongestPause { get; private set; }

    public int Count => Volatile.Read(ref count);

    /// <summary>What failed of files that could not be written at the first attempt.</summary>
    public IReadOnlyCollection<string> Failures => failures;

    /// <summary>Makes the drive, and begins.</summary>
    public static async Task<FileWriter> StartAsync(PoolProcesses pool, string drive, int spread = 0)
    {
        DriveSpec spec = new(drive, DriveKind.FileSystem, 0, 0) { Spread = spread };
        Reply<DriveInfo> made = await pool.Admin.CreateDriveAsync(spec, CancellationToken.None);
        Assert.Equal(Status.Ok, made.Status);
        return new(pool, drive, spread);
    }

    /// <summary>Waits until so many more files are there.</summary>
    public async Task MoreAsync(int files)
    {
        int until = Count + files;
        await PoolWorld.UntilAsync(
            () =>
            {
                if (writing.IsFaulted) { writing.GetAwaiter().GetResult(); }
                return Task.FromResult(Count >= until ? this : null);
            },
            () => $"drive {drive} is not written to:\n{pool.Log}");
    }

    public TimeSpan TakeLongestPause()
    {
        TimeSpan pause = LongestPause;
        LongestPause = TimeSpan.Zero;
        return pause;
    }

    /// <summary>Ends, and reads all of them as somebody who has just come.</summary>
    public async Task CheckAsync()
    {
        await stop.CancelAsync();
        await writing;
        await using IDriveSession fresh = (await Sessions.OpenAsync(pool, drive, CancellationToken.None))!;
        await using DriveClient client = new(fresh, new(), TimeProvider.System);
        foreach (int number in synced) { Assert.Equal(ContentOf(number), await Files.ReadAsync(client, NameOf(number))); }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await writing.ContinueWith(static _ => { }, TaskScheduler.Default);
        stop.Dispose();
    }

    private static string NameOf(int number) => $"f{number}";

    /// <summary>Mostly small; some have blocks of their own, most if blocks are what it is about.</summary>
    private byte[] ContentOf(int number)
    {
        bool hasBlock = spread == 0 ? number % 10 == 9 : number % 3 != 0;
        return Files.Bytes(1 + (hasBlock ? 300_000 : number * 37 % 3_000), number);
    }

    private async Task WriteAsync()
    {
        int number = 0;
        while (!stop.IsCancellationRequested)
        {
            if (await Sessions.OpenAsync(pool, drive, stop.Token) is not { } session) { return; }
            await using DriveClient client = new(session, new(), TimeProvider.System);
            while (!stop.IsCancellationRequested)
            {
                int current = number++;
                if (await TryWriteAsync(client, NameOf(current), ContentOf(current)) is { } failure)
                {
                    if (!stop.IsCancellationRequested) { failures.Enqueue($"{NameOf(current)}: {failure}"); }
                    break;
                }

                synced.Add(current);
                Note();
            }
        }
    }

    /// <summary>Writes a file and has it synced; null, or what did not work.</summary>
    private static async Task<string?> TryWriteAsync(DriveClient client, string name, byte[] content)
    {
        ValueTask<Reply<CreatedFile>> created = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> file = await created;
        if (!file.IsOk) { return $"create {file.Status}"; }
        Status status = (await client.WriteAsync(file.Value.File, 0, content, default)).Status;
        if (status != Status.Ok) { return $"write {status}"; }
        status = await client.FsyncAsync(file.Value.File);
        if (status != Status.Ok) { return $"fsync {status}"; }
        status = await client.CloseAsync(file.Value.File);
        return status == Status.Ok ? null : $"close {status}";
    }

    private void Note()
    {
        TimeSpan pause = TimeProvider.System.GetElapsedTime(last);
        last = TimeProvider.System.GetTimestamp();
        if (pause > LongestPause) { LongestPause = pause; }
        Interlocked.Increment(ref count);
    }
}
