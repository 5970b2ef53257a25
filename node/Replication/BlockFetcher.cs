using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Fetches blocks that are bad on this node from the others that have copies of their shard.</summary>
/// <remarks>Thread safe. One after the other is asked: the primary, the copies that count, those that do not. What comes is compared
/// with what the index says of the block, if the index can be read.</remarks>
[SupportedOSPlatform("linux")]
internal sealed class BlockFetcher(ReplicationDriver driver, PeerChannels channels, int shardCount) : IBlockSource
{
    /// <summary>Who does not give a block within it has a reader wait for nothing.</summary>
    private static readonly TimeSpan s_fetchTime = TimeSpan.FromSeconds(5);

    public Status Fetch(BlockName block, BlockIndexEntry? expected, out byte[]? content)
    {
        content = null;
        Status outcome = Status.NotFound;
        foreach (NodeId node in driver.HoldersOf(HomeShard.Of(block.Owner, shardCount)))
        {
            Status status = Ask(node, block, out byte[]? found);
            if (status == Status.Ok && expected is not null && !expected.HasContent(found!.Length, BlockBytes.Checksum(found)))
            {
                status = Status.Corrupt;
            }

            if (status == Status.Ok)
            {
                content = found;
                return status;
            }

            // Who did not answer may have it; of the others, one that has it bad says more than one that has it not.
            if (status is not (Status.NotFound or Status.Corrupt)) { outcome = Status.Busy; }
            else if (outcome != Status.Busy && status == Status.Corrupt) { outcome = status; }
        }

        return outcome;
    }

    /// <summary>Fetches a block from one node.</summary>
    /// <returns>Ok and all of it; what that node answered: NotFound, Corrupt; Corrupt: it did not come as it was announced.</returns>
    /// <exception cref="GrpcException">The node did not answer.</exception>
    /// <exception cref="OperationCanceledException">The caller has had enough.</exception>
    internal static async Task<(Status Status, byte[]? Content)> FetchAsync(
        GrpcChannel channel, BlockName block, TimeSpan time, CancellationToken cancellation)
    {
        using GrpcCall<V1.FetchRequest, V1.FetchPart> call = channel.ServerStreaming(
            BlockCopyMethods.Fetch,
            new V1.FetchRequest { Owner = block.Owner.ToWire(), Id = block.Id.Value },
            new() { Timeout = time },
            cancellation);
        byte[]? content = null;
        int filled = 0;
        await foreach (V1.FetchPart part in call.ReadAllAsync(cancellation))
        {
            if (part.Status != V1.Status.Ok) { return (part.Status.ToCore(), null); }
            if (content is null && part.Length is 0 or > Limits.BlockBytes) { return (Status.Corrupt, null); }
            content ??= new byte[part.Length];
            if (part.Data.Length > content.Length - filled || part.Crc32C != Crc32C.Compute(part.Data.Span)) { return (Status.Corrupt, null); }
            part.Data.Span.CopyTo(content.AsSpan(filled));
            filled += part.Data.Length;
        }

        return content is not null && filled == content.Length ? (Status.Ok, content) : (Status.Corrupt, null);
    }

    /// <summary>Waits on the caller's thread: it is a reader's, or the scrub's.</summary>
    private Status Ask(NodeId node, BlockName block, out byte[]? content)
    {
        (Status Status, byte[]? Content) answer = (Status.Busy, null);
        AskAsync().Wait(CancellationToken.None);
        content = answer.Content;
        return answer.Status;

        async Task AskAsync()
        {
            try
            {
                if (channels.Find(node) is { } channel) { answer = await FetchAsync(channel, block, s_fetchTime, CancellationToken.None); }
            }
            catch (Exception e) when (e is GrpcException or ObjectDisposedException)
            {
                // It is away, or this node stops.
            }
        }
    }
}
