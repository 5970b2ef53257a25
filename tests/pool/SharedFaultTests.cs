using KvFs.Authority.Tests.Support;
using KvFs.Client;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A shared drive that clients with and without mounts use, while nodes, etcd and clients are cut off, stand still, die and are
/// restarted: what all of them did and saw can have happened one after the other.</summary>
public sealed class SharedFaultTests(ITestOutputHelper output)
{
    private const int Nodes = 3;

    /// <summary>The machine of a mount that is cut off from all nodes.</summary>
    private const int ClientHost = Nodes + 1;

    /// <summary>Locks a file, and writes number after number there, each synced, until it is told that it cannot.</summary>
    private const string Locker = """
        import errno, fcntl, os, sys
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        print('locked')
        try:
            for number in range(1_000_000):
                assert os.pwrite(fd, (number + 1).to_bytes(4, 'little'), number * 4) == 4
                os.fsync(fd)
                print(number)
        except OSError as e: print(errno.errorcode[e.errno])
        """;

    /// <summary>Waits for the lock, and says what is there then.</summary>
    private const string Waiter = """
        import fcntl, os, sys
        fd = os.open(sys.argv[1], os.O_RDWR)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        print('granted')
        print(os.fstat(fd).st_size // 4)
        sys.stdin.read()
        print(os.fstat(fd).st_size // 4)
        """;

    [NetworkFact]
    public async Task What_its_users_did_and_saw_can_have_happened_one_after_the_other_whatever_fails()
    {
        using NodeNetwork network = NodeNetwork.Create(ClientHost);
        await using EtcdServer etcd = Assert.Single(await EtcdServer.StartClusterAsync(1, network.AuthorityAddress));
        await using PoolProcesses pool = await PoolProcesses.StartAsync(Nodes, new() { Network = network, Etcd = [etcd.Endpoint] });
        for (int round = 0; round < Rounds.Few; round++) { await RunAsync(network, etcd, pool, round); }
    }

    /// <summary>All that is done to a drive of its own: a longer list would only be longer to read.</summary>
    private async Task RunAsync(NodeNetwork network, EtcdServer etcd, PoolProcesses pool, int round)
    {
        string drive = $"team{round}";
        await using SharedList list = await SharedList.StartAsync(pool, drive);
        await using PoolMount here = await PoolMount.StartAsync(pool, drive, isShared: true);
        MountProgram member = list.Join(here);
        long began = TimeProvider.System.GetTimestamp();
        await GoOnAsync("start");
        await PullPrimaryAsync();
        await LoseOneWayAsync();
        await FreezeAsync();
        await KillAuthorityAsync();
        await CutClientOffAsync();
        await ReplaceCertificateAsync();
        await RestartInTurnAsync();
        await list.CheckAsync();
        output.WriteLine($"{list.Operations} operations of clients and mounts, 0 lost, nothing seen that cannot be");

        async Task GoOnAsync(string what)
        {
            await Task.WhenAll(list.MoreAsync(30), member.MoreAsync(30));
            output.WriteLine($"{TimeProvider.System.GetElapsedTime(began).TotalSeconds:f2} s: {what}");
        }

        async Task PullPrimaryAsync()
        {
            int primary = pool.PrimaryOf(drive);
            network.Pull(primary);
            await pool.NoPrimaryAsync(primary);
            await GoOnAsync("the primary was cut off, from etcd, too, and replaced");
            network.Heal();
            await pool.WholeAsync();
        }

        async Task LoseOneWayAsync()
        {
            (int primary, int replica) = (pool.PrimaryOf(drive), await pool.ReplicaOfAsync(drive));
            network.Lose(round % 2 == 0 ? primary : replica, round % 2 == 0 ? replica : primary);
            await pool.MapThatAsync(static map => map.Shards.Any(static shard => shard.InSync.Length < Nodes), "nobody is missed");
            await GoOnAsync("one way between the primary and a replica was lost");
            network.Heal();
            await pool.WholeAsync();
        }

        async Task FreezeAsync()
        {
            int primary = pool.PrimaryOf(drive);
            await pool.FreezeAsync(primary);
            await pool.NoPrimaryAsync(primary);
            await GoOnAsync("the primary stood still");
            await pool.ThawAsync(primary);
            await pool.WholeAsync();
        }

        async Task KillAuthorityAsync()
        {
            PoolMap before = (await pool.MapAsync())!;
            await etcd.KillAsync();
            await GoOnAsync("etcd was killed");
            await etcd.StartAsync();
            PoolMap after = await PoolWorld.UntilAsync(pool.MapAsync, "etcd does not come back");
            Assert.Equal(before.Shards.Select(static shard => shard.Primary), after.Shards.Select(static shard => shard.Primary));
        }

        // The machine of a mount, of which a program holds a lock: for a moment, and for longer than its lease. Then also etcd, from all nodes.
        async Task CutClientOffAsync()
        {
            await using PoolMount apart = await PoolMount.StartAsync(pool, drive, isShared: true, network.InsideOnlyOf(ClientHost));
            MountProgram cutOff = list.Join(apart);
            await cutOff.MoreAsync(20);
            network.Pull(ClientHost);
            network.Heal();
            await cutOff.MoreAsync(20);
            using MountProgram locker = MountProgram.Python(Locker, Path.Combine(apart.Path, "locked"));
            await locker.MoreAsync(20);
            using MountProgram waiter = MountProgram.Python(Waiter, Path.Combine(here.Path, "locked"));
            network.LoseAuthority();
            network.Pull(ClientHost);
            await GoOnAsync("etcd was cut off from all nodes, and a client");
            await waiter.SaysAsync("granted");
            await GoOnAsync("its lock went to another one");
            network.Heal();
            await Task.WhenAll(locker.EndedAsync(), cutOff.EndedAsync());
            Assert.Equal("EIO", locker.Lines[^1]);
            await waiter.EndAsync();
            int[] sizes = [.. waiter.Numbers];
            Assert.InRange(sizes[0], locker.Numbers.Count(), locker.Numbers.Count() + 1);
            Assert.Equal(sizes[0], sizes[1]);
            Assert.True(apart.Runs, apart.Log);
            await pool.WholeAsync();
        }

        async Task ReplaceCertificateAsync()
        {
            string renewed = network.RenewNodes();
            for (int node = 1; node <= Nodes; node++)
            {
                await PoolWorld.UntilAsync(
                    async () => await network.ShownByAsync(node) == renewed ? pool : null, () => $"the new certificate is not shown:\n{pool.Log}");
            }

            // On what stands since before, and on a new session, with blocks.
            await GoOnAsync("the certificate of the nodes was replaced");
            await using DriveClient next = await Sessions.OpenSharedAsync(pool, drive);
            byte[] content = Files.Bytes(300_000, 1);
            await Files.WriteAsync(next, "new", content);
            Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(here.Path, "new")));
        }

        async Task RestartInTurnAsync()
        {
            for (int node = 1; node <= Nodes; node++)
            {
                Assert.Equal(0, await pool.StopAsync(node));

                // Handed over before it was gone.
                PoolMap map = (await pool.MapAsync())!;
                Assert.DoesNotContain(map.Shards, shard => PoolProcesses.NumberOf(map, shard.Primary) == node);
                pool.Start(node);
                await pool.WholeAsync();
            }

            await GoOnAsync("all nodes were restarted in turn");
        }
    }
}
