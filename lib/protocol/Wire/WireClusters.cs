using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>What clusters show. Of inline slices only the bytes that are visible travel.</summary>
public static class WireClusters
{
    public static V1.Cluster ToWire(this ClusterMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        V1.Cluster sent = new() { DeltaCount = (uint)map.DeltaCount };
        Dictionary<DriveId, uint> owners = [];
        ByteBuffer inline = new(0);
        for (int at = 0; at < map.Runs.Count; at++)
        {
            Slice run = map.Runs[at];
            V1.ClusterRun part = new() { Offset = run.Offset, Length = run.Length, Kind = (V1.RunKind)run.Kind };
            if (run.Kind == SliceKind.Inline)
            {
                part.SourceOffset = (uint)inline.Length;
                inline.Append(map.Inline.Slice((int)run.SourceOffset, (int)run.Length));
            }

            if (run.Kind == SliceKind.Block)
            {
                if (!owners.TryGetValue(run.Block.Owner, out uint owner))
                {
                    owner = (uint)owners.Count;
                    owners.Add(run.Block.Owner, owner);
                    sent.Owners.Add(run.Block.Owner.ToWire());
                }

                part.Owner = owner;
                part.Block = run.Block.Id.Value;
                part.SourceOffset = run.SourceOffset;
            }

            sent.Runs.Add(part);
        }

        if (inline.Length > 0) { sent.Inline = UnsafeByteOperations.UnsafeWrap(inline.Memory); }
        return sent;
    }

    /// <exception cref="InvalidDataException">It is not what a cluster can show.</exception>
    public static ClusterMap ToCore(this V1.Cluster sent)
    {
        ArgumentNullException.ThrowIfNull(sent);
        DriveId[] owners = [.. sent.Owners.Select(static owner => owner.ToDriveId())];
        Slice[] runs = new Slice[sent.Runs.Count];
        for (int at = 0; at < runs.Length; at++)
        {
            V1.ClusterRun run = sent.Runs[at];
            SliceKind kind = (SliceKind)WireValues.To8Bits((int)run.Kind);
            BlockName block = default;
            if (kind == SliceKind.Block)
            {
                if (run.Owner >= owners.Length) { throw new InvalidDataException("a run names an owner that is not told"); }
                block = new(owners[run.Owner], new(run.Block));
            }

            runs[at] = new(run.Offset, run.Length, kind, block, run.SourceOffset);
        }

        ClusterMap map = new();
        return sent.DeltaCount <= int.MaxValue && map.TryFill(runs, sent.Inline.Span, (int)sent.DeltaCount)
            ? map
            : throw new InvalidDataException("runs that no cluster can have");
    }
}
