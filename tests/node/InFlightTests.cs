using System.Text;
using KvFs.Core;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>Requests that are decided while those before them are on their way to the copies.</summary>
public sealed class InFlightTests : QuietNodeTests
{
    private SteeredLog Log => Node.Logs[0];

    [Fact]
    public async Task Each_is_decided_on_top_of_those_before_it_and_none_is_answered_before_they_are_committed()
    {
        (IDriveSession session, Task<Reply<NodeInfo>> made) = await BeginAsync();
        Task<Reply<UnlinkResult>> renamed = Task.Run(async () => await session.RenameAsync(
            new() { OldParent = VNodeId.Root, OldName = Name("a"), NewParent = VNodeId.Root, NewName = Name("b") }));
        await InFlightAsync(2);
        Task<Reply<NodeInfo>> again = Make(session, "a");
        await InFlightAsync(3);

        // Nothing of it is to be seen yet.
        Assert.Equal(Status.NotFound, (await session.LookupAsync(VNodeId.Root, Name("a"), CowNumber.Head)).Status);
        Assert.Equal(Status.NotFound, (await session.LookupAsync(VNodeId.Root, Name("b"), CowNumber.Head)).Status);
        Assert.False(made.IsCompleted || renamed.IsCompleted || again.IsCompleted);
        Log.Arrive(1);
        VNodeId first = Ok(await made);
        Assert.Equal(first, Ok(await session.LookupAsync(VNodeId.Root, Name("a"), CowNumber.Head)));
        Assert.False(renamed.IsCompleted || again.IsCompleted);
        Log.Arrive(2);
        Assert.Equal(Status.Ok, (await renamed).Status);
        VNodeId second = Ok(await again);
        Assert.NotEqual(first, second);
        Assert.Equal(first, Ok(await session.LookupAsync(VNodeId.Root, Name("b"), CowNumber.Head)));
        Assert.Equal(second, Ok(await session.LookupAsync(VNodeId.Root, Name("a"), CowNumber.Head)));
    }

    [Fact]
    public async Task A_refusal_waits_for_what_it_rests_on()
    {
        (IDriveSession session, Task<Reply<NodeInfo>> made) = await BeginAsync();
        Task<Reply<NodeInfo>> refused = Make(session, "a");
        await DecidedAsync(2);
        Assert.False(refused.IsCompleted);
        Log.Arrive(1);
        Ok(await made);
        Assert.Equal(Status.Exists, (await refused).Status);
    }

    [Fact]
    public async Task What_the_end_of_a_reign_leaves_open_is_told_to_nobody()
    {
        (IDriveSession session, Task<Reply<NodeInfo>> made) = await BeginAsync();
        Task<Reply<NodeInfo>> refused = Make(session, "a");
        await DecidedAsync(2);
        Log.End();
        Assert.Equal(Status.Unknown, (await made).Status);
        Assert.Equal(Status.StaleEpoch, (await refused).Status);
        Assert.Equal(Status.StaleEpoch, (await Make(session, "b")).Status);
    }

    [Fact]
    public async Task Who_opens_a_file_whose_removal_is_on_its_way_does_not_find_it()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "a");
        Log.IsSlow = true;
        Task<Reply<UnlinkResult>> removed = Task.Run(async () => await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = Name("a") }));
        await InFlightAsync(1);
        Task<Reply<NodeInfo>> held = Task.Run(async () => await session.HoldAsync(file));
        await DecidedAsync(3);
        Log.Arrive(1);
        Assert.Equal(Status.Ok, (await removed).Status);
        Assert.NotEqual(Status.Ok, (await held).Status);
    }

    [Fact]
    public async Task A_snapshot_is_committed_with_all_that_was_on_its_way()
    {
        (IDriveSession session, Task<Reply<NodeInfo>> made) = await BeginAsync();
        Task<Reply<SnapshotInfo>> snapshot = Task.Run(async () => await Node.Admin.CreateSnapshotAsync("d", "s", default));
        await UntilAsync(() =>
        {
            if (Log.InFlight > 0) { Log.Arrive(1); }
            return snapshot.IsCompleted;
        });
        Ok(await made);
        Reply<SnapshotInfo> taken = await snapshot;
        Assert.Equal(Status.Ok, taken.Status);
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, Name("a"), taken.Value.At)).Status);
    }

    /// <summary>A session, and its making of a file "a", which is on its way.</summary>
    private async Task<(IDriveSession Session, Task<Reply<NodeInfo>> Made)> BeginAsync()
    {
        IDriveSession session = await OpenAsync("d");
        Log.IsSlow = true;
        Task<Reply<NodeInfo>> made = Make(session, "a");
        await InFlightAsync(1);
        return (session, made);
    }

    private static Task<Reply<NodeInfo>> Make(IDriveSession session, string name) =>
        Task.Run(async () => await session.CreateAsync(new() { Parent = VNodeId.Root, Name = Name(name), Kind = VNodeKind.File, Mode = 0b110_100_100 }));

    private static byte[] Name(string name) => Encoding.UTF8.GetBytes(name);

    private static VNodeId Ok(Reply<NodeInfo> reply)
    {
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.Id;
    }

    private Task InFlightAsync(int count) => UntilAsync(() => Log.InFlight == count);

    /// <summary>So many requests have been counted since the drive was opened: they are decided once the gate is free again.</summary>
    private async Task DecidedAsync(long requests)
    {
        await UntilAsync(() => Node.Drive("d").Requests >= requests);
        using (Node.Drive("d").Shard.Enter()) { }
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(1));
        while (!isSo()) { await timer.WaitForNextTickAsync(); }
    }
}
