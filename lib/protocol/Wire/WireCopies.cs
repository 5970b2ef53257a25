using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>The copies of a node on the wire.</summary>
public static class WireCopies
{
    private const ulong NanosecondsPerTick = 100;

    public static V1.CopiesReply ToWire(this HeldCopies held)
    {
        ArgumentNullException.ThrowIfNull(held);
        V1.CopiesReply reply = new() { Node = held.Node.Value };
        reply.Copies.AddRange(held.Copies.Select(ToWire));
        if (held.Healing is { } healing)
        {
            reply.Healing = new()
            {
                Time = (ulong)Math.Max(0, healing.Time.Ticks) * NanosecondsPerTick,
                Done = (uint)healing.Done,
                Left = (uint)healing.Left,
                Blocks = healing.Blocks,
                Bytes = healing.Bytes,
            };
        }

        return reply;
    }

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static HeldCopies ToCore(this V1.CopiesReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        return new(
            new(reply.Node),
            [.. reply.Copies.Select(ToCore)],
            reply.Healing is { } healing
                ? new(
                    TimeSpan.FromTicks((long)(healing.Time / NanosecondsPerTick)),
                    (int)Math.Min(healing.Done, int.MaxValue),
                    (int)Math.Min(healing.Left, int.MaxValue),
                    healing.Blocks,
                    healing.Bytes)
                : null);
    }

    private static V1.HeldCopy ToWire(HeldCopy copy)
    {
        V1.HeldCopy sent = new()
        {
            Shard = copy.Shard.Value,
            Last = copy.Last.ToWire(),
            Fetching = copy.Fetching is { } fetching ? new() { Missing = fetching.Missing, Fetched = fetching.Fetched } : null,
        };
        sent.Drives.AddRange(copy.Drives.Select(static drive => new V1.HeldDrive { Id = drive.Drive.ToWire(), Name = drive.Name, Spread = (uint)drive.Spread }));
        return sent;
    }

    private static HeldCopy ToCore(V1.HeldCopy copy) => new(
        WireReplication.ToShard(copy.Shard),
        copy.Last.ToCore(),
        [.. copy.Drives.Select(static drive => new HeldDrive(drive.Id.ToDriveId(), drive.Name, ToSpread(drive.Spread)))],
        copy.Fetching is { } fetching ? new(fetching.Missing, Math.Min(fetching.Fetched, fetching.Missing)) : null);

    private static int ToSpread(uint spread) =>
        spread <= ShardOfBlock.MaxSpread ? (int)spread : throw new InvalidDataException($"a spread of {spread} percent");
}
