using System.Buffers.Binary;
using System.Runtime.Versioning;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Finds sessions of drives, also of those whose records other nodes have: FindSession of replication.proto.</summary>
/// <remarks>Thread safe. A node with blocks of a spread drive need have no records of it, and what it may have left of a shard that has moved on
/// says nothing any more: it asks the primary of the drive's home shard, then another one that has records.</remarks>
[SupportedOSPlatform("linux")]
internal sealed class SessionFinder(StorageNode storage, ReplicationDriver driver, PeerChannels channels, int shardCount)
{
    /// <summary>Nodes that are asked, one after the other.</summary>
    private const int MaxAsked = 2;

    /// <summary>A client that waits for its first read any longer asks elsewhere.</summary>
    private static readonly TimeSpan s_askTime = TimeSpan.FromMilliseconds(200);

    public void AddTo(GrpcServices services) => services.Unary(BlockCopyMethods.FindSession, Answer);

    /// <summary>The token of a session; the default: it has none, or nobody here or there knows it. Waits on the caller's thread.</summary>
    public SessionToken Find(DriveId drive, SessionId session)
    {
        ShardId home = HomeShard.Of(drive, shardCount);
        if (driver.IsMemberOf(home)) { return storage.Host.FindSession(drive, session)?.Token ?? default; }
        SessionToken found = default;
        foreach (NodeId node in driver.HoldersOf(home).Where(node => driver.PresenceOf(node) == NodePresence.Here).Take(MaxAsked))
        {
            using RequestThreads.Place place = RequestThreads.Leave();
            AskAsync(node).Wait(CancellationToken.None);
            if (found != default) { break; }
        }

        return found;

        async Task AskAsync(NodeId node)
        {
            try
            {
                if (channels.Find(node) is not { } channel) { return; }
                V1.FindSessionReply reply = await channel.UnaryAsync(
                    BlockCopyMethods.FindSession, new() { Drive = drive.ToWire(), Session = session.Value }, new() { Timeout = s_askTime }, CancellationToken.None);
                bool isFound = reply.Status == V1.Status.Ok && reply.Token.Length == SessionToken.Size;
                if (isFound) { found = new(BinaryPrimitives.ReadUInt128BigEndian(reply.Token.Span)); }
            }
            catch (Exception e) when (e is GrpcException or ObjectDisposedException)
            {
                // It is away, or this node stops: the client asks its primary.
            }
        }
    }

    private ValueTask<V1.FindSessionReply> Answer(V1.FindSessionRequest request, ServerCall call)
    {
        if (request.Drive.Length != DriveId.Size) { return new(new V1.FindSessionReply { Status = V1.Status.Invalid }); }
        DriveId drive = request.Drive.ToDriveId();
        if (!driver.IsMemberOf(HomeShard.Of(drive, shardCount))) { return new(new V1.FindSessionReply { Status = V1.Status.StaleEpoch }); }
        if (storage.Host.FindSession(drive, new(request.Session)) is not { } record || record.Token == default)
        {
            return new(new V1.FindSessionReply { Status = V1.Status.SessionExpired });
        }

        byte[] token = new byte[SessionToken.Size];
        BinaryPrimitives.WriteUInt128BigEndian(token, record.Token.Value);
        return new(new V1.FindSessionReply { Token = UnsafeByteOperations.UnsafeWrap(token) });
    }
}
