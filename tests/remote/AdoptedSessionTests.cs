using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Remote;
using KvFs.Protocol.Wire;

namespace KvFs.Remote.Tests;

/// <summary>Sessions that a node goes on with when it becomes primary: none is lost by that, and none stays that nobody ends.</summary>
public sealed class AdoptedSessionTests
{
    private static readonly TimeSpan s_leases = TimeSpan.FromSeconds(15);

    private static readonly V1.OpenSession s_alone = new() { Drive = TakingUpNode.Drive };

    [Fact]
    public async Task A_look_at_the_leases_while_a_drive_is_taken_up_loses_no_session_of_it()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        (Status status, RemoteSession? opened) = await node.Services.OpenAsync(s_alone);
        Assert.Equal(Status.Ok, status);
        node.LetGo();

        // Both ends of the moment in which the sessions are known and their drive is not.
        node.WhenAdopted(node.Services.Tick);
        node.TakeUp();
        node.Services.Tick();
        Assert.NotNull(node.Services.Find(opened!.Key, out Status why));
        Assert.Equal(Status.Ok, why);
    }

    [Fact]
    public async Task A_session_whose_client_never_comes_ends_a_lease_after_its_drive_was_taken_up()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        (_, RemoteSession? opened) = await node.Services.OpenAsync(s_alone);
        node.WhenAdopted(node.Services.Tick);

        // It comes back within a lease, twice.
        for (int term = 0; term < 2; term++)
        {
            node.LetGo();
            node.TakeUp();
        }

        Assert.Equal(Status.InUse, (await node.Services.OpenAsync(s_alone)).Status);
        node.Pass(s_leases);
        await EndOfAsync(node, opened!.Key);
        Assert.Equal(Status.Ok, (await node.Services.OpenAsync(s_alone)).Status);
    }

    [Fact]
    public async Task Who_is_refused_a_drive_while_it_changes_hands_does_not_take_it_from_who_has_it()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        (_, RemoteSession? opened) = await node.Services.OpenAsync(s_alone);

        // The term ends between two entries of who is refused.
        node.Log.EndAfter(1);
        Assert.Equal(Status.InUse, (await node.Services.OpenAsync(s_alone)).Status);
        node.LetGo();
        node.TakeUp();
        Assert.NotNull(node.Services.Find(opened!.Key, out _));
    }

    [Fact]
    public async Task Who_serves_no_more_renews_no_session_and_sends_its_client_away()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        using GrpcCall<V1.ClientMessage, V1.ServerMessage> call =
            node.Channel.Start(DriveMethods.Session, new() { Limits = WireLimits.OfClient }, CancellationToken.None);
        await call.Requests!.WriteAsync(new() { Open = s_alone }, CancellationToken.None);
        Assert.Equal(V1.Status.Ok, (await NextAsync(call)).Opened.Status);
        await call.Requests.WriteAsync(new() { Renew = new() }, CancellationToken.None);
        Assert.Equal(V1.ServerMessage.BodyOneofCase.Renewed, (await NextAsync(call)).BodyCase);

        // It does not know of a successor: it only has no lease.
        node.Log.End();
        await call.Requests.WriteAsync(new() { Renew = new() }, CancellationToken.None);
        Assert.Equal(V1.Status.StaleEpoch, (await NextAsync(call)).Closed.Status);
    }

    [Fact]
    public async Task Who_comes_before_its_drive_is_served_is_let_in_when_it_is()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        (_, RemoteSession? opened) = await node.Services.OpenAsync(s_alone);
        node.LetGo();
        Assert.Equal(Status.StaleEpoch, (await node.Services.FindSoonAsync(opened!.Key, CancellationToken.None)).Why);

        // The map says already that this node is to serve it.
        node.Node.Host.IsToServe = static _ => true;
        Task<(RemoteSession? Session, Status Why)> coming = node.Services.FindSoonAsync(opened.Key, CancellationToken.None).AsTask();
        Assert.False(coming.IsCompleted);
        node.TakeUp();
        Assert.Equal(Status.Ok, (await coming).Why);
    }

    private static async Task<V1.ServerMessage> NextAsync(GrpcCall<V1.ClientMessage, V1.ServerMessage> call)
    {
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out V1.ServerMessage message));
        return message;
    }

    /// <summary>Waits until what has expired has ended: that goes on behind the tick.</summary>
    private static async Task EndOfAsync(TakingUpNode node, V1.SessionKey key)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(10));
        for (int look = 0; look < 3000 && node.Services.SessionCount > 0; look++) { await timer.WaitForNextTickAsync(); }
        Assert.Null(node.Services.Find(key, out Status why));
        Assert.Equal(Status.SessionExpired, why);
    }
}
