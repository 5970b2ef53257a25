using System.Runtime.InteropServices;
using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>What is exact while nothing fails is exact when primaries are killed: snapshots, quotas, locks.</summary>
public sealed class ExactTests(ITestOutputHelper output)
{
    private const string Drive = "team";

    private const int Quota = 3_000_000;

    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task Snapshots_quotas_and_locks_are_exact_when_the_primary_is_killed()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        int primary = pool.PrimaryOf(Drive);
        string small = Enumerable.Range(0, 1000).Select(static number => $"small{number}").First(name => pool.PrimaryOf(name) == primary);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new(Drive, DriveKind.FileSystem, 0, 0), s_none)).Status);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new(small, DriveKind.FileSystem, Quota, 0), s_none)).Status);
        await using DriveClient one = await Sessions.OpenSharedAsync(pool, Drive), other = await Sessions.OpenSharedAsync(pool, Drive);
        await using DriveClient filler = await Sessions.OpenSharedAsync(pool, small);
        using CancellationTokenSource enough = new();
        Counter counter = new(await Files.CreateAsync(one, "counter"));
        int filled = 0;
        Task counting = Task.Run(() => counter.CountAsync(one, enough.Token));
        Task filling = Task.Run(async () =>
        {
            for (; !enough.IsCancellationRequested; Interlocked.Increment(ref filled)) { await FillAsync(pool, small, filler, filled); }
        });
        for (int round = 0; round < Rounds.Few; round++)
        {
            VNodeId locked = (await LookupAsync(other, "counter")).Id;
            FileLock held = LockOf(one, LockType.Write), wanted = LockOf(other, LockType.Read);
            Assert.Equal(Status.Ok, await one.Session.SetLockAsync(locked, LockSpace.Range, held, false, s_none));
            Assert.Equal(Status.Locked, await other.Session.SetLockAsync(locked, LockSpace.Range, wanted, false, s_none));
            Task<Status> waiting = other.Session.SetLockAsync(locked, LockSpace.Range, wanted, true, s_none).AsTask();

            // One snapshot before, one while the primary dies, one of its successor.
            await SnapshotAsync(pool, counter, one, $"before{round}");
            primary = pool.PrimaryOf(Drive);
            Task during = SnapshotAsync(pool, counter, one, $"during{round}");
            await pool.KillAsync(primary);
            await pool.NoPrimaryAsync(primary);
            await during;
            await SnapshotAsync(pool, counter, one, $"after{round}");

            // Held across the takeover, and given to who waits once it is let go.
            Assert.Equal(LockType.Write, (await other.Session.TestLockAsync(locked, LockSpace.Range, wanted)).Value.Type);
            Assert.False(waiting.IsCompleted);
            Assert.Equal(Status.Ok, await one.Session.SetLockAsync(locked, LockSpace.Range, held with { Type = LockType.Unlock }, false, s_none));
            Assert.Equal(Status.Ok, await waiting);
            Assert.Equal(Status.Locked, await one.Session.SetLockAsync(locked, LockSpace.Range, held, false, s_none));
            Assert.Equal(
                Status.Ok, await other.Session.SetLockAsync(locked, LockSpace.Range, wanted with { Type = LockType.Unlock }, false, s_none));
            int before = Volatile.Read(ref filled);
            pool.Start(primary);
            await pool.WholeAsync();
            await PoolWorld.UntilAsync(
                () =>
                {
                    if (filling.IsFaulted) { filling.GetAwaiter().GetResult(); }
                    return Task.FromResult(Volatile.Read(ref filled) > before ? this : null);
                },
                () => $"the small drive is not filled:\n{pool.Log}");
        }

        await enough.CancelAsync();
        await counting;
        await filling;

        // All snapshots, when all is over.
        IReadOnlyList<SnapshotInfo> snapshots = (await pool.Admin.ListSnapshotsAsync(Drive, s_none)).Value;
        Assert.Equal(3 * Rounds.Few, snapshots.Count);
        foreach (SnapshotInfo snapshot in snapshots) { await counter.CheckAsync(other, snapshot); }
        output.WriteLine($"{counter.Answered} numbers counted, {snapshots.Count} snapshots exact, a quota filled and given back {filled} times");
    }

    private static async Task<NodeInfo> LookupAsync(DriveClient client, string name)
    {
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);
        Assert.Equal(Status.Ok, found.Status);
        return found.Value;
    }

    private static FileLock LockOf(DriveClient client, LockType type) => new(10, 19, type, new(client.Session.Id, 7), 42);

    /// <summary>Takes a snapshot, and notes what it must show. Who was not answered finds it there, or takes it again.</summary>
    private static async Task SnapshotAsync(PoolProcesses pool, Counter counter, DriveClient client, string name)
    {
        int least = counter.Answered;
        SnapshotInfo snapshot = await PoolWorld.UntilAsync(
            async () =>
            {
                Reply<SnapshotInfo> taken = await pool.Admin.CreateSnapshotAsync(Drive, name, s_none);
                if (taken.IsOk) { return taken.Value; }
                Assert.Contains(taken.Status, new[] { Status.Unknown, Status.Busy, Status.StaleEpoch, Status.Exists });
                return (await pool.Admin.ListSnapshotsAsync(Drive, s_none)).Value?.FirstOrDefault(one => one.Name == name);
            },
            () => $"snapshot {name} is not taken:\n{pool.Log}");
        counter.Expect(name, least, counter.Begun);
        await counter.CheckAsync(client, snapshot);
    }

    /// <summary>Fills the drive to the last byte, and empties it: it is never above its quota, and counts exactly what is there.</summary>
    private static async Task FillAsync(PoolProcesses pool, string drive, DriveClient client, int turn)
    {
        string name = $"fill{turn}";
        OpenFile file = await Files.CreateAsync(client, name);
        Random random = new(turn);
        int size = 0;
        while (true)
        {
            // As much as there is room for; then one byte more.
            byte[] bytes = Files.Bytes(Math.Min(random.Next(1, 200_000), Math.Max(1, Quota - size)), size);
            Reply<int> written = await client.WriteAsync(file, (ulong)size, bytes, default);
            Assert.True((await UsedAsync(pool, drive)) <= Quota);
            if (written.Status == Status.NoSpace) { break; }
            Assert.Equal(Reply.Ok(bytes.Length), written);
            size += bytes.Length;
        }

        Assert.Equal(Quota, size);
        Assert.Equal((ulong)Quota, await UsedAsync(pool, drive));
        Assert.Equal(Status.Ok, await client.CloseAsync(file));
        await Files.UnlinkAsync(client, name);
        await PoolWorld.UntilAsync(
            async () => await UsedAsync(pool, drive) == 0 ? pool : null, () => $"drive {drive} is not empty again:\n{pool.Log}");
    }

    private static async Task<ulong> UsedAsync(PoolProcesses pool, string drive)
    {
        DriveInfo info = await PoolWorld.UntilAsync(
            async () => await pool.Admin.GetDriveAsync(drive, s_none) is { IsOk: true } found ? found.Value : null, () => $"drive {drive} is not found:\n{pool.Log}");
        return info.UsedBytes;
    }

    /// <summary>A file to which number after number is added, and what its snapshots must show: each a beginning of it, with what was answered
    /// before, and nothing that was begun later.</summary>
    private sealed class Counter(OpenFile file)
    {
        private readonly Dictionary<string, (int Least, int Most)> expected = [];
        private int begun;
        private int answered;

        public int Begun => Volatile.Read(ref begun);

        public int Answered => Volatile.Read(ref answered);

        public void Expect(string snapshot, int least, int most) => expected.Add(snapshot, (least, most));

        public async Task CountAsync(DriveClient client, CancellationToken enough)
        {
            while (!enough.IsCancellationRequested)
            {
                Volatile.Write(ref begun, answered + 1);
                ulong at = (ulong)(answered * sizeof(int));
                Assert.Equal(Reply.Ok(sizeof(int)), await client.WriteAsync(file, at, BitConverter.GetBytes(answered), default));
                Volatile.Write(ref answered, answered + 1);
            }
        }

        public async Task CheckAsync(DriveClient client, SnapshotInfo snapshot)
        {
            int[] shown = MemoryMarshal.Cast<byte, int>(await Files.ReadAsync(client, "counter", snapshot.At)).ToArray();
            (int least, int most) = expected[snapshot.Name];
            Assert.InRange(shown.Length, least, most);
            Assert.Equal(Enumerable.Range(0, shown.Length), shown);
        }
    }
}
