using KvFs.Client;

namespace KvFs.Pool.Tests;

/// <summary>Files that one client writes one after the other, each synced, as long as it is let.</summary>
internal sealed class SyncedFiles
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly Lock gate = new();
    private readonly List<(long Begun, long Done)> times = [];
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Count
    {
        get
        {
            lock (gate) { return times.Count; }
        }
    }

    public static string NameOf(int file) => $"s{file}";

    public static byte[] ContentOf(int file) => Files.Bytes(1 + (file % 50 * 3000), file);

    /// <summary>Writes until it is enough. A write that fails fails the test, and who waits for another one.</summary>
    public async Task WriteAsync(DriveClient client, CancellationToken enough)
    {
        try
        {
            await WriteOnAsync(client, enough);
        }
        catch (Exception e)
        {
            lock (gate) { changed.SetException(e); }
            throw;
        }
    }

    private async Task WriteOnAsync(DriveClient client, CancellationToken enough)
    {
        for (int file = 0; !enough.IsCancellationRequested; file++)
        {
            long begun = TimeProvider.System.GetTimestamp();
            await Files.WriteAsync(client, NameOf(file), ContentOf(file));
            lock (gate)
            {
                times.Add((begun, TimeProvider.System.GetTimestamp()));
                changed.SetResult();
                changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    /// <summary>Waits until so many more are written.</summary>
    public async Task MoreAsync(int files)
    {
        int wanted = Count + files;
        await UntilAsync<bool>(() => times.Count >= wanted ? true : null);
    }

    /// <summary>When the first file was done that was begun after a moment.</summary>
    public async Task<long> FirstBegunAfterAsync(long moment) => await UntilAsync<long>(() =>
    {
        int found = times.FindLastIndex(time => time.Begun < moment) + 1;
        return found < times.Count ? times[found].Done : null;
    });

    /// <summary>The longest time between two files that were done, from a moment on.</summary>
    public TimeSpan LongestPauseSince(long moment)
    {
        lock (gate)
        {
            long[] done = [moment, .. times.Select(static time => time.Done).Where(time => time > moment)];
            return done.Zip(done.Skip(1), static (from, to) => TimeProvider.System.GetElapsedTime(from, to)).Max();
        }
    }

    private async Task<T> UntilAsync<T>(Func<T?> find)
        where T : struct
    {
        while (true)
        {
            Task change;
            lock (gate)
            {
                if (find() is { } found) { return found; }
                change = changed.Task;
            }

            await change.WaitAsync(s_patience);
        }
    }
}
