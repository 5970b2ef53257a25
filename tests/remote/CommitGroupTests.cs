using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>Commits that wait for one another go together, and each gets the answer that it would get alone.</summary>
public sealed class CommitGroupTests
{
    private const int Files = 40;

    [Fact]
    public async Task Commits_that_wait_go_in_fewer_transactions_and_each_is_told_of_its_own_files()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        await using BufferedDriveSession session = new(inner, () => true, TimeProvider.System);
        VNodeId[] files = await MakeAsync(session);
        long before = Commits(world);
        List<NodeInfo>[] results = [.. files.Select(static _ => new List<NodeInfo>())];
        Task<Reply<bool>>[] commits =
            [.. files.Select((file, at) => session.CommitDurablyAsync([Commit(file, 10 + at)], results[at]).AsTask())];
        foreach (Reply<bool> reply in await Task.WhenAll(commits)) { Assert.Equal(Status.Ok, reply.Status); }
        Assert.InRange(Commits(world) - before, 1, Files - 1);
        for (int at = 0; at < Files; at++)
        {
            NodeInfo told = Assert.Single(results[at]);
            Assert.Equal((files[at], (ulong)(10 + at)), (told.Id, told.VNode.Size));
            Assert.Equal((ulong)(10 + at), (await inner.GetAsync(files[at], CowNumber.Head)).Value.VNode.Size);
        }
    }

    [Fact]
    public async Task What_one_is_refused_for_is_not_the_others_fault()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession inner = await world.OpenAsync();
        await using BufferedDriveSession session = new(inner, () => true, TimeProvider.System);
        VNodeId[] files = await MakeAsync(session);
        VNodeId missing = new(files.Max(static file => file.Value) + 1_000_000);
        List<NodeInfo>[] results = [.. files.Select(static _ => new List<NodeInfo>())];
        Task<Status>[] commits =
            [.. files.Select((file, at) => session.CommitAsync([Commit(at % 7 == 3 ? missing : file, 10 + at)], results[at]).AsTask())];
        Status[] told = await Task.WhenAll(commits);
        for (int at = 0; at < Files; at++)
        {
            Assert.Equal(at % 7 == 3 ? Status.Stale : Status.Ok, told[at]);
            if (told[at] == Status.Ok) { Assert.Equal(files[at], Assert.Single(results[at]).Id); }
        }
    }

    private static async Task<VNodeId[]> MakeAsync(BufferedDriveSession session)
    {
        VNodeId[] files = new VNodeId[Files];
        for (int at = 0; at < Files; at++) { files[at] = (await session.CreateAsync($"f{at}")).Value.Id; }
        Assert.Equal(Status.Ok, await session.SyncAsync());
        return files;
    }

    private static FileCommit Commit(VNodeId file, int length)
    {
        FileCommit commit = new() { Node = file, MinSize = (ulong)length };
        commit.Inline.Set(new byte[length]);
        commit.Runs.Add(new(0, (uint)length, SliceKind.Inline, default, 0));
        return commit;
    }

    private static long Commits(RemoteWorld world) => (long)world.Node.GetActivity().Drives.Single().Commits;
}
