using KvFs.Core;
using KvFs.Direct;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>Reads of this node's copies of blocks, for clients whose sessions are served elsewhere: OfferReads of block.proto.</summary>
/// <remarks>Thread safe. Blocks never change, so that no lease is needed: what is here is what the primary has. Own copies only: what is
/// missing or bad is told, and the primary, which the client asks then, has it mended.</remarks>
internal sealed class CopyReads(
    StorageNode node,
    Func<DriveId, SessionId, SessionToken> findSession,
    RequestThreads threads,
    DirectListener? listener,
    TimeSpan lease,
    TimeProvider clock) : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly HashSet<CopyReadStream> streams = [];
    private bool isStopped;

    /// <summary>A way for who calls; null: there is none.</summary>
    public V1.DirectOffer? Offer() => listener?.Offer(Begin)?.ToWire();

    /// <summary>Ends all streams; nothing is read any more when this ends.</summary>
    public async ValueTask DisposeAsync()
    {
        CopyReadStream[] left;
        lock (gate)
        {
            isStopped = true;
            left = [.. streams];
        }

        foreach (CopyReadStream stream in left) { await stream.DisposeAsync(); }
    }

    private void Begin(DirectStream way)
    {
        CopyReadStream? stream = null;
        lock (gate)
        {
            if (!isStopped)
            {
                stream = new(way, new BlockCopyReader(node), new SessionKeys(findSession, lease, clock), threads);
                streams.Add(stream);
                stream.Start();
            }
        }

        if (stream is not null)
        {
            _ = ForgetAsync(stream);
            return;
        }

        way.Dispose();
        listener!.OnStreamEnded();
    }

    private async Task ForgetAsync(CopyReadStream stream)
    {
        await stream.Ended;
        lock (gate) { streams.Remove(stream); }
        listener!.OnStreamEnded();
    }
}

/// <summary>Reads blocks here, and nowhere else.</summary>
internal sealed class BlockCopyReader(StorageNode node)
{
    /// <summary>Reads a range of a block whose bytes are in memory.</summary>
    public bool TryReadCached(BlockName block, uint offset, Span<byte> destination) =>
        node.Blocks.TryReadCached(block, (int)offset, destination);

    /// <returns>Ok; NotFound; Invalid: the range exceeds the block; Corrupt, and it is looked after; IoError.</returns>
    public Status Read(BlockName block, uint offset, Span<byte> destination)
    {
        Status status = node.Blocks.ReadOwnCopy(block, (int)offset, destination);
        if (status == Status.NotFound && node.Blocks.OpenDrive(block.Owner).IsOk)
        {
            // Nobody has asked for anything of the drive since the start.
            status = node.Blocks.ReadOwnCopy(block, (int)offset, destination);
        }

        if (status == Status.Corrupt) { node.Blocks.Mender.Suspect(block); }
        return status;
    }
}
