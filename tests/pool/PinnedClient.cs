using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>A client with one session, which asks the node that it is told to ask, whoever is the primary.</summary>
internal sealed class PinnedClient
{
    private static readonly GrpcCallOptions s_patient = new() { Timeout = TimeSpan.FromMinutes(1) };

    private readonly PoolProcesses pool;
    private readonly V1.SessionKey key;
    private V1.Answer last = new();
    private uint sequence;

    private PinnedClient(PoolProcesses pool, V1.SessionKey key)
    {
        this.pool = pool;
        this.key = key;
    }

    /// <summary>Opens a session at the primary of a drive.</summary>
    public static async Task<PinnedClient> OpenAsync(PoolProcesses pool, string drive)
    {
        GrpcChannel channel = pool.ChannelTo(pool.PrimaryOf(drive));
        V1.Opened opened = await channel.UnaryAsync(DriveMethods.Open, new() { Drive = drive }, s_patient, CancellationToken.None);
        Assert.Equal(V1.Status.Ok, opened.Status);
        return new(pool, opened.Key);
    }

    /// <summary>Tells the next primary what the session holds, as soon as there is one.</summary>
    public Task GoOnAtAsync(int node) => PoolWorld.UntilAsync(
        async () => await AskAsync(node, new() { TellHoldings = new() { Epoch = last.Epoch, LogIndex = last.LogIndex } }) == V1.Status.Ok ? this : null,
        () => $"node {node} does not serve the session:\n{pool.Log}");

    public Task<V1.Status> MakeAsync(int node, string name) => AskAsync(node, new()
    {
        Slot = 0,
        Sequence = ++sequence,
        Create = new() { Parent = new() { Id = VNodeId.Root.Value }, Name = ByteString.CopyFromUtf8(name), Kind = V1.VNodeKind.File, Mode = 0x1A4 },
    });

    public Task<V1.Status> FindAsync(int node, string name) =>
        AskAsync(node, new() { Lookup = new() { Parent = VNodeId.Root.Value, Name = ByteString.CopyFromUtf8(name) } });

    /// <summary>Asks once; a node that cannot be reached is an answer, too.</summary>
    private async Task<V1.Status> AskAsync(int node, V1.Request request)
    {
        request.Id = 1;
        request.Session = key.Session;
        try
        {
            V1.Answer answer = await pool.ChannelTo(node).UnaryAsync(
                DriveMethods.Call, new() { Key = key, Request = request }, s_patient, CancellationToken.None);
            if (answer.Status == V1.Status.Ok && answer.LogIndex > last.LogIndex) { last = answer; }
            return answer.Status;
        }
        catch (GrpcException)
        {
            return V1.Status.Unknown;
        }
    }
}
