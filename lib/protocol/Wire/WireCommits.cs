using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>What commits put into files, and requests about ranges.</summary>
public static class WireCommits
{
    /// <param name="commit">Lent for the call: its bytes are copied.</param>
    /// <param name="node">Which file.</param>
    /// <param name="drive">The session's: its blocks need no owner.</param>
    public static V1.FileCommit ToWire(this FileCommit commit, NodeReference node, DriveId drive)
    {
        ArgumentNullException.ThrowIfNull(commit);
        V1.FileCommit sent = new()
        {
            Node = node.ToWire(),
            Inline = ByteString.CopyFrom(commit.Inline.Span),
            MinSize = commit.MinSize,
            ModifyTime = commit.ModifyTime.Nanoseconds,
            KeepTimes = commit.KeepTimes,
            KillSetId = commit.KillSetId,
        };
        if (commit.Attributes is { } attributes) { sent.Attributes = attributes.ToWire(); }
        if (commit.SizeBefore is { } before) { sent.SizeBefore = before; }
        foreach (FileRun run in commit.Runs)
        {
            V1.FileRun part = new()
            {
                FileOffset = run.FileOffset,
                Length = run.Length,
                Kind = (V1.RunKind)run.Kind,
                Block = run.Block.Id.Value,
                SourceOffset = run.SourceOffset,
            };
            if (run.Kind == SliceKind.Block && run.Block.Owner != drive) { part.Owner = run.Block.Owner.ToWire(); }
            sent.Runs.Add(part);
        }

        return sent;
    }

    /// <exception cref="InvalidDataException">A value is out of its range.</exception>
    public static FileCommit ToCore(this V1.FileCommit sent, DriveId drive)
    {
        ArgumentNullException.ThrowIfNull(sent);
        FileCommit commit = new()
        {
            Node = sent.Node.ToId(),
            MinSize = sent.MinSize,
            SizeBefore = sent.HasSizeBefore ? sent.SizeBefore : null,
            ModifyTime = new(sent.ModifyTime),
            KeepTimes = sent.KeepTimes,
            KillSetId = sent.KillSetId,
            Attributes = sent.Attributes?.ToCore(),
        };
        commit.Inline.Set(sent.Inline.Span);
        foreach (V1.FileRun run in sent.Runs)
        {
            SliceKind kind = (SliceKind)WireValues.To8Bits((int)run.Kind);
            DriveId owner = run.Owner.IsEmpty ? drive : run.Owner.ToDriveId();
            BlockName block = kind == SliceKind.Block ? new(owner, new(run.Block)) : default;
            commit.Runs.Add(new(run.FileOffset, run.Length, kind, block, run.SourceOffset));
        }

        return commit;
    }

    public static V1.ChangeRange ToWire(this in RangeRequest request) => new()
    {
        Node = request.Node.Value,
        Operation = (V1.RangeOperation)request.Operation,
        Offset = request.Offset,
        Length = request.Length,
        KeepSize = request.KeepSize,
    };

    public static RangeRequest ToCore(this V1.ChangeRange change)
    {
        ArgumentNullException.ThrowIfNull(change);
        RangeOperation operation = (RangeOperation)WireValues.To8Bits((int)change.Operation);
        return new(new(change.Node), operation, change.Offset, change.Length, change.KeepSize);
    }

    public static V1.CopyRange ToWire(this in CopyRangeRequest request)
    {
        V1.CopyRange sent = new()
        {
            Source = request.Source.Value,
            SourceOffset = request.SourceOffset,
            Target = request.Target.Value,
            TargetOffset = request.TargetOffset,
            Length = request.Length,
        };
        if (request.SourceAt != CowNumber.Head) { sent.SourceAt = request.SourceAt.Value; }
        return sent;
    }

    public static CopyRangeRequest ToCore(this V1.CopyRange copy)
    {
        ArgumentNullException.ThrowIfNull(copy);
        CowNumber at = copy.HasSourceAt ? new(copy.SourceAt) : CowNumber.Head;
        return new(new(copy.Source), at, copy.SourceOffset, new(copy.Target), copy.TargetOffset, copy.Length);
    }
}
