using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Blocks;

/// <summary>Serves this node's blocks to a client in the same process.</summary>
/// <remarks>Thread safe. Everything completes before it returns: the caller's thread does the work, and concurrent writers
/// share one fdatasync. When a write answers Ok, the bytes are on disk and the index entry is in the journal before
/// any log entry that will refer to the block: the sync that makes the entry durable makes the index durable.</remarks>
public sealed class LocalBlockService(BlockStore store) : IBlockService
{
    public ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content) =>
        new(store.WriteBlockSynced(name, content.Span));

    public ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination) =>
        new(store.ReadBlock(name, checked((int)offset), destination.Span));

    public bool TryReadCached(BlockName name, uint offset, Span<byte> destination) =>
        offset <= Limits.BlockBytes && store.TryReadCached(name, (int)offset, destination);

    public void Prefetch(BlockName name, uint offset, uint length) =>
        store.Prefetch(name, checked((int)offset), checked((int)length));
}
