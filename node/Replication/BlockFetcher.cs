using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Storage;
using KvFs.Protocol;
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

    /// <summary>How long a reader of a block that lies elsewhere waits for a node that has it: some may be starting.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>Before all are asked again, unless the pool map says meanwhile that others have it.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    public Status Fetch(BlockName block, int spread, BlockIndexEntry? expected, out byte[]? content)
    {
        content = null;
        BlockSearch search = new();
        foreach (NodeId node in driver.HoldersOf(ShardOfBlock.Of(block, spread, shardCount)))
        {
            Status status = Ask(node, block, BlockRange.Whole, out byte[]? found);
            if (status == Status.Ok && expected is not null && !expected.HasContent(found!.Length, BlockBytes.Checksum(found)))
            {
                status = Status.Corrupt;
            }

            if (status == Status.Ok)
            {
                content = found;
                return status;
            }

            search.OnAnswer(status);
        }

        return search.Outcome;
    }

    public bool IsKeptHere(BlockName block, int spread) => driver.IsMemberOf(ShardOfBlock.Of(block, spread, shardCount));

    public Status Read(BlockName block, int spread, int offset, Span<byte> destination)
    {
        if (offset < 0 || offset > Limits.BlockBytes) { return Status.Invalid; }
        if (destination.IsEmpty) { return Status.Ok; }
        ShardId shard = ShardOfBlock.Of(block, spread, shardCount);
        TimeSpan began = SuspendClock.Now;
        while (true)
        {
            BlockSearch search = new();
            foreach (NodeId node in driver.HoldersOf(shard).OrderBy(node => driver.PresenceOf(node)))
            {
                Status status = Ask(node, block, new((uint)offset, (uint)destination.Length), out byte[]? found);
                if (status == Status.Ok && found!.Length != destination.Length) { status = Status.Corrupt; }
                if (status == Status.Ok)
                {
                    found.CopyTo(destination);
                    return status;
                }

                if (status == Status.Invalid) { return status; }
                search.OnAnswer(status);
            }

            if (search.Outcome != Status.Busy || SuspendClock.Now - began > s_patience) { return search.Outcome; }
            driver.AwaitView(s_pause);
        }
    }

    public IReadOnlyDictionary<ulong, uint> ListLengths(DriveId owner, int spread, ulong first, ulong last)
    {
        Dictionary<ulong, uint> lengths = [];
        ShardId home = HomeShard.Of(owner, shardCount);
        foreach (ShardId shard in ShardOfBlock.ShardsOf(owner, spread, shardCount))
        {
            if (driver.IsMemberOf(shard) || driver.ReignHere(home) is not { } epoch || driver.PrimaryOf(shard) is not { } primary) { continue; }
            V1.CompareRequest request = new()
            {
                Shard = home.Value,
                Epoch = epoch.Value,
                Owner = owner.ToWire(),
                First = first,
                Last = last,
                Listed = true,
                Spread = (uint)spread,
                OfShard = shard.Value,
            };

            // Waits on the thread of who repacks.
            ListAsync(primary, request, lengths).Wait(CancellationToken.None);
        }

        return lengths;
    }

    private async Task ListAsync(NodeId node, V1.CompareRequest request, Dictionary<ulong, uint> lengths)
    {
        try
        {
            if (channels.Find(node) is not { } channel) { return; }
            using GrpcCall<V1.CompareRequest, V1.ComparePart> call = channel.ServerStreaming(
                BlockCopyMethods.Compare, request, new() { Timeout = s_fetchTime }, CancellationToken.None);
            await foreach (V1.ComparePart part in call.ReadAllAsync(CancellationToken.None))
            {
                if (part.Status != V1.Status.Ok || part.Ids.Count != part.Lengths.Count) { return; }
                for (int at = 0; at < part.Ids.Count; at++) { lengths[part.Ids[at]] = part.Lengths[at]; }
            }
        }
        catch (Exception e) when (e is GrpcException or ObjectDisposedException)
        {
            // It is away, or this node stops: another round asks again.
        }
    }

    /// <summary>Fetches a block from one node.</summary>
    /// <returns>Ok and all of it; what that node answered: NotFound, Corrupt; Corrupt: it did not come as it was announced.</returns>
    /// <exception cref="GrpcException">The node did not answer.</exception>
    /// <exception cref="OperationCanceledException">The caller has had enough.</exception>
    internal static Task<(Status Status, byte[]? Content)> FetchAsync(
        GrpcChannel channel, BlockName block, TimeSpan time, CancellationToken cancellation) =>
        FetchAsync(channel, block, BlockRange.Whole, time, cancellation);

    private static async Task<(Status Status, byte[]? Content)> FetchAsync(
        GrpcChannel channel, BlockName block, BlockRange range, TimeSpan time, CancellationToken cancellation)
    {
        using GrpcCall<V1.FetchRequest, V1.FetchPart> call = channel.ServerStreaming(
            BlockCopyMethods.Fetch,
            new V1.FetchRequest { Owner = block.Owner.ToWire(), Id = block.Id.Value, Offset = range.Offset, Length = range.Length },
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
    private Status Ask(NodeId node, BlockName block, BlockRange range, out byte[]? content)
    {
        (Status Status, byte[]? Content) answer = (Status.Busy, null);
        AskAsync().Wait(CancellationToken.None);
        content = answer.Content;
        return answer.Status;

        async Task AskAsync()
        {
            try
            {
                if (channels.Find(node) is { } channel) { answer = await FetchAsync(channel, block, range, s_fetchTime, CancellationToken.None); }
            }
            catch (Exception e) when (e is GrpcException or ObjectDisposedException)
            {
                // It is away, or this node stops.
            }
        }
    }

    /// <summary>What is wanted of a block.</summary>
    /// <param name="Offset">From which byte on.</param>
    /// <param name="Length">How many bytes; 0: all.</param>
    private readonly record struct BlockRange(uint Offset, uint Length)
    {
        public static BlockRange Whole => default;
    }
}
