using System.Runtime.CompilerServices;
using KvFs.Core;

namespace KvFs.Authority;

/// <summary>A pool map in a file: for one process, or several on one machine.</summary>
/// <remarks>The file must lie on a local file system: locks and the order of writes are its own. A change is durable
/// when it is answered. Watchers of the same object wake at once; those of other objects and processes see a change at
/// their next look.
/// </remarks>
public sealed class FileAuthority : IPoolAuthority
{
    /// <summary>Between two looks of a watcher at the first bytes of the file: what changes hands waits for them.</summary>
    public static readonly TimeSpan DefaultPoll = TimeSpan.FromMilliseconds(20);

    /// <summary>Between two tries to get the lock that another process holds: about as long as a change takes.</summary>
    private static readonly TimeSpan LockRetry = TimeSpan.FromMilliseconds(5);

    /// <summary>How long the lock is waited for: a holder needs milliseconds.</summary>
    private static readonly TimeSpan LockTime = TimeSpan.FromSeconds(10);

    private readonly string path;
    private readonly TimeSpan poll;
    private readonly TimeProvider clock;
    private readonly MapFolder folder;
    private readonly SemaphoreSlim swaps = new(1);
    private TaskCompletionSource changed = NewSignal();

    /// <param name="path">The file; its folder exists.</param>
    /// <param name="poll">Between two looks of a watcher; null: <see cref="DefaultPoll"/>.</param>
    /// <param name="clock">Whose time that is; null: the system's.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    public FileAuthority(string path, TimeSpan? poll = null, TimeProvider? clock = null)
    {
        this.path = Path.GetFullPath(path);
        this.poll = poll ?? DefaultPoll;
        this.clock = clock ?? TimeProvider.System;
        folder = new(this.path);
        if (!Directory.Exists(Path.GetDirectoryName(this.path)))
        {
            throw new DirectoryNotFoundException($"There is no folder '{Path.GetDirectoryName(this.path)}' for the pool map.");
        }
    }

    public string? Trouble { get; private set; }

    public Task<AuthorityAnswer> ReadAsync(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return Task.FromResult(Read());
    }

    public async Task<AuthorityAnswer> CompareAndSwapAsync(ulong expected, PoolMap map, CancellationToken cancellation)
    {
        MapProgress.CheckFollows(expected, current: null, map);
        await swaps.WaitAsync(cancellation);
        try
        {
            using IDisposable? held = await LockAsync(cancellation);
            return held is null
                ? new(AuthorityOutcome.Unavailable, null, $"another process holds the lock of {path}")
                : Swap(expected, map);
        }
        catch (IOException e)
        {
            return Fail(AuthorityOutcome.Unavailable, e);
        }
        finally
        {
            swaps.Release();
        }
    }

    public async IAsyncEnumerable<PoolMap> WatchAsync(ulong after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        MapProgress progress = new(after);
        ulong looked = 0;
        while (true)
        {
            Task wake = Volatile.Read(ref changed).Task;
            if (Peek() is not { } standing || standing != looked || standing == 0)
            {
                AuthorityAnswer answer = Read();
                if (progress.IsNews(answer)) { yield return answer.Map!; }
                looked = answer.Map?.Revision ?? 0;
            }

            await Task.WhenAny(wake, Task.Delay(poll, clock, cancellation));
            cancellation.ThrowIfCancellationRequested();
        }
    }

    public ValueTask DisposeAsync()
    {
        swaps.Dispose();
        return ValueTask.CompletedTask;
    }

    private AuthorityAnswer Read()
    {
        try
        {
            byte[]? bytes = folder.Read(MapFile.MaxBytes + 1);
            Trouble = null;
            return bytes is null ? AuthorityAnswer.Ok(null) : MapFile.Decode(bytes);
        }
        catch (IOException e)
        {
            return Fail(AuthorityOutcome.Unavailable, e);
        }
    }

    /// <summary>The revision that the file says; null if it cannot be read.</summary>
    private ulong? Peek()
    {
        try
        {
            return folder.Read(MapFile.HeaderBytes) is { } header ? MapFile.PeekRevision(header) : 0;
        }
        catch (IOException)
        {
            return null;  // The whole is read next, and says why not.
        }
    }

    private async Task<IDisposable?> LockAsync(CancellationToken cancellation)
    {
        long start = clock.GetTimestamp();
        while (true)
        {
            if (folder.TryLock() is { } held) { return held; }
            if (clock.GetElapsedTime(start) > LockTime) { return null; }
            await Task.Delay(LockRetry, clock, cancellation);
        }
    }

    private AuthorityAnswer Swap(ulong expected, PoolMap map)
    {
        AuthorityAnswer standing = Read();
        if (standing.Outcome != AuthorityOutcome.Ok) { return standing; }
        if ((standing.Map?.Revision ?? 0) != expected) { return AuthorityAnswer.Conflict(expected, standing.Map); }
        MapProgress.CheckFollows(expected, standing.Map, map);
        byte[] bytes = MapFile.Encode(map);
        if (bytes.Length > MapFile.MaxBytes)
        {
            return new(AuthorityOutcome.TooLarge, null, $"the map has {bytes.Length} bytes, and may have {MapFile.MaxBytes}");
        }

        bool isPut = false;
        try
        {
            folder.Replace(bytes, out isPut);
        }
        catch (IOException e)
        {
            return Fail(isPut ? AuthorityOutcome.Unknown : AuthorityOutcome.Unavailable, e);
        }
        finally
        {
            if (isPut) { Interlocked.Exchange(ref changed, NewSignal()).SetResult(); }
        }

        return AuthorityAnswer.Ok(map);
    }

    private AuthorityAnswer Fail(AuthorityOutcome outcome, IOException e)
    {
        Trouble = e.Message;
        return new(outcome, null, e.Message);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
