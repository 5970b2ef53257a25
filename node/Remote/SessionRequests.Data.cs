using KvFs.Core;
using KvFs.Direct;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

internal sealed partial class SessionRequests
{
    private async ValueTask<V1.Answer> GetClusterAsync(V1.GetCluster get)
    {
        Reply<ClusterMap> reply = await session.GetClusterAsync(new(get.Id), get.Cluster, At(get.HasAt, get.At));
        return reply.IsOk ? new() { Cluster = reply.Value.ToWire() } : Failed(reply.Status);
    }

    private async ValueTask<V1.Answer> ReadBlockAsync(V1.ReadBlock read)
    {
        if (read.Length is 0 or > Limits.BlockBytes || read.Offset > Limits.BlockBytes || read.Id == 0) { return Failed(Status.Invalid); }
        BlockName name = NameOf(read);
        AttachedBytes content = AttachedBytes.Rent((int)read.Length);
        Status status = await session.Blocks.ReadBlockAsync(name, read.Offset, content.Memory);
        if (status == Status.Ok) { return OfRange(content); }
        content.Dispose();
        return Failed(status);
    }

    private ValueTask<V1.Answer> WriteBlockAsync(V1.WriteBlock write)
    {
        if (session.Access.IsReadOnly()) { return new(Failed(Status.ReadOnly)); }
        if (write.Id == 0 || write.Data.Length is 0 or > WireLimits.WholeBlockBytes) { return new(Failed(Status.Invalid)); }
        return Crc32C.Compute(write.Data.Span) == write.Crc32C
            ? OfStatus(session.Blocks.WriteBlockAsync(new(session.Drive, new(write.Id)), write.Data.Memory))
            : new(Failed(Status.Corrupt));
    }

    /// <summary>Answers a read of a block whose bytes are in memory; null: they are not, or it is no such request.</summary>
    public Answered? TryReadCached(V1.Request request)
    {
        if (request.OperationCase != Operation.ReadBlock) { return null; }
        V1.ReadBlock read = request.ReadBlock;
        bool isPlain = read.Owner.Length is 0 or DriveId.Size && read.Id != 0;
        if (!isPlain || read.Length is 0 or > Limits.ChecksumUnitBytes || read.Offset > Limits.BlockBytes) { return null; }
        BlockName name = NameOf(read);
        AttachedBytes content = AttachedBytes.Rent((int)read.Length);
        if (session.Blocks.TryReadCached(name, read.Offset, content.Memory.Span))
        {
            V1.Answer answer = OfRange(content);
            answer.Id = request.Id;
            return new(answer, shard.CanServe);
        }

        content.Dispose();
        return null;
    }

    private BlockName NameOf(V1.ReadBlock read) => new(read.Owner.IsEmpty ? session.Drive : read.Owner.ToDriveId(), new(read.Id));

    private static V1.Answer OfRange(AttachedBytes content) => new() { Range = content.ToRange(), Lent = content };

    private V1.Answer Commit(V1.Commit commit, NamedRequest? named)
    {
        if (commit.Commits.Count > WireLimits.Commits) { return Failed(Status.TooLarge); }
        List<FileCommit> commits = new(commit.Commits.Count);
        foreach (V1.FileCommit each in commit.Commits) { commits.Add(each.ToCore(session.Drive)); }
        List<NodeInfo> results = new(commits.Count);
        named?.Committed = results;
        Status status = session.Commit(commits, results, out ulong grown);
        return status == Status.Ok ? NamedRequest.OfCommit(results, grown) : Failed(status);
    }

    private ValueTask<V1.Answer> CopyRangeAsync(V1.CopyRange copy) => OfNumber(session.CopyRangeAsync(copy.ToCore()));

    private async ValueTask<V1.Answer> TransactAsync(V1.Transact transact, NamedRequest? named)
    {
        // Checked before anything is made of it.
        if (transact.Operations.Count > TransactRequest.MaxOperations
            || transact.Preconditions.Count > TransactRequest.MaxOperations)
        {
            return new() { Status = V1.Status.Invalid, Transacted = new() { FailedAt = -1 } };
        }

        if (transact.ToCore(session.Drive) is not { } request) { return Failed(Status.NotSupported); }
        TransactResult result = new();
        named?.Transacted = result;
        Status status = await session.TransactAsync(request, result);
        return new() { Status = status.ToWire(), Transacted = result.ToWire() };
    }

    private async ValueTask<V1.Answer> GrantBlocksAsync(V1.GrantBlocks grant)
    {
        Reply<BlockId> reply = await session.GrantBlocksAsync(grant.Count);
        return reply.IsOk ? new() { Number = reply.Value.Value } : Failed(reply.Status);
    }

    private async ValueTask<V1.Answer> GrantVNodesAsync(V1.GrantVNodes grant)
    {
        Reply<VNodeId> reply = await session.GrantVNodesAsync(grant.Count);
        return reply.IsOk ? new() { Number = reply.Value.Value } : Failed(reply.Status);
    }

    private ValueTask<V1.Answer> Unreserve(V1.Reserve returned)
    {
        session.Unreserve(new(returned.Bytes, returned.Inodes));
        return new(new V1.Answer());
    }

    private async ValueTask<V1.Answer> TestLockAsync(V1.TestLock test)
    {
        Reply<FileLock> reply = await session.TestLockAsync(new(test.Id), test.Space.ToCore(), test.Wanted.ToCore());
        return reply.IsOk ? new() { Lock = reply.Value.ToWire() } : Failed(reply.Status);
    }

    private async ValueTask<V1.Answer> SetLockAsync(V1.SetLock set, CancellationToken cancellation) => Failed(
        await session.SetLockAsync(new(set.Id), set.Space.ToCore(), set.Wanted.ToCore(), set.Wait, cancellation));

    private static async ValueTask<V1.Answer> OfNumber(ValueTask<Reply<ulong>> done)
    {
        Reply<ulong> reply = await done;
        return reply.IsOk ? new() { Number = reply.Value } : Failed(reply.Status);
    }
}
