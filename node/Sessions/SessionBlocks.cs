using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

/// <summary>Blocks as one session may store and read them: it stores only what it was granted the number for.</summary>
/// <remarks>Thread safe. A block under another number would be garbage that nobody drops, and in the way of whoever is granted the number
/// later.</remarks>
internal sealed class SessionBlocks(LocalDriveSession session, IBlockService blocks) : IBlockService
{
    public async ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content)
    {
        if (session.Access.IsReadOnly()) { return Status.ReadOnly; }
        if (name.Owner != session.Drive) { return Status.Invalid; }
        Status status = session.CheckGrant(name.Id);
        if (status == Status.Ok) { status = await blocks.WriteBlockAsync(name, content); }
        if (status == Status.Ok) { session.OnStored(name.Id); }
        return status;
    }

    public ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination) =>
        blocks.ReadBlockAsync(name, offset, destination);

    public bool TryReadCached(BlockName name, uint offset, Span<byte> destination) => blocks.TryReadCached(name, offset, destination);

    public void Prefetch(BlockName name, uint offset, uint length) => blocks.Prefetch(name, offset, length);
}
