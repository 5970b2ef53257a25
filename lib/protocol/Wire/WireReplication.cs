using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Protocol.Wire;

/// <summary>The methods of replication.proto's service.</summary>
public static class ReplicationMethods
{
    public static GrpcMethod<V1.PeerMessage, V1.PeerMessage> Connect { get; } = new(
        GrpcMethodKind.Duplex,
        "kvfs.v1.Replication",
        "Connect",
        Marshaller.Protobuf(V1.PeerMessage.Parser),
        Marshaller.Protobuf(V1.PeerMessage.Parser));
}

/// <summary>The methods of replication.proto's service of blocks.</summary>
public static class BlockCopyMethods
{
    private const string Service = "kvfs.v1.BlockCopies";

    public static GrpcMethod<V1.StorePart, V1.CopyReply> Store { get; } = new(
        GrpcMethodKind.ClientStreaming,
        Service,
        "Store",
        Marshaller.Protobuf(V1.StorePart.Parser),
        Marshaller.Protobuf(V1.CopyReply.Parser));

    public static GrpcMethod<V1.ListRequest, V1.ListPart> List { get; } = new(
        GrpcMethodKind.ServerStreaming,
        Service,
        "List",
        Marshaller.Protobuf(V1.ListRequest.Parser),
        Marshaller.Protobuf(V1.ListPart.Parser));

    public static GrpcMethod<V1.FetchRequest, V1.FetchPart> Fetch { get; } = new(
        GrpcMethodKind.ServerStreaming,
        Service,
        "Fetch",
        Marshaller.Protobuf(V1.FetchRequest.Parser),
        Marshaller.Protobuf(V1.FetchPart.Parser));

    public static GrpcMethod<V1.CompleteRequest, V1.CopyReply> Complete { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Complete",
        Marshaller.Protobuf(V1.CompleteRequest.Parser),
        Marshaller.Protobuf(V1.CopyReply.Parser));

    public static GrpcMethod<V1.DropRequest, V1.CopyReply> Drop { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Drop",
        Marshaller.Protobuf(V1.DropRequest.Parser),
        Marshaller.Protobuf(V1.CopyReply.Parser));

    public static GrpcMethod<V1.FindSessionRequest, V1.FindSessionReply> FindSession { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "FindSession",
        Marshaller.Protobuf(V1.FindSessionRequest.Parser),
        Marshaller.Protobuf(V1.FindSessionReply.Parser));

    public static GrpcMethod<V1.FindLeftoversRequest, V1.FindLeftoversReply> FindLeftovers { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "FindLeftovers",
        Marshaller.Protobuf(V1.FindLeftoversRequest.Parser),
        Marshaller.Protobuf(V1.FindLeftoversReply.Parser));

    public static GrpcMethod<V1.CompareRequest, V1.ComparePart> Compare { get; } = new(
        GrpcMethodKind.ServerStreaming,
        Service,
        "Compare",
        Marshaller.Protobuf(V1.CompareRequest.Parser),
        Marshaller.Protobuf(V1.ComparePart.Parser));

    public static GrpcMethod<V1.MendRequest, V1.CopyReply> Mend { get; } = new(
        GrpcMethodKind.Unary,
        Service,
        "Mend",
        Marshaller.Protobuf(V1.MendRequest.Parser),
        Marshaller.Protobuf(V1.CopyReply.Parser));
}

/// <summary>What nodes tell one another, on the wire and in core. The contents of entries and snapshots are the drivers'
/// affair.</summary>
public static class WireReplication
{
    /// <summary>Entries of one message at the most.</summary>
    public const int MaxEntries = 256;

    /// <summary>Runs of a log at the most: reigns that left entries which are not forgotten.</summary>
    public const int MaxRuns = 65_536;

    /// <summary>Bytes of one message: its entries are cut off where they get longer, but for one that is alone.</summary>
    public const int MessageBytes = 8 << 20;

    /// <summary>Of either end: one entry may have what a transaction may, and as much again for history that it saves.</summary>
    public static GrpcCallLimits Limits { get; } = new(
        (4 * Core.Limits.TransactionBytes) + MessageBytes, (4 * Core.Limits.TransactionBytes) + MessageBytes);

    public static V1.LogPosition ToWire(this LogPosition position) =>
        new() { Epoch = position.Epoch.Value, Index = position.Index.Value };

    public static LogPosition ToCore(this V1.LogPosition? position) =>
        position is null ? default : new(new(position.Epoch), new(position.Index));

    private static DiskCondition ToDisk(this V1.Beacon beacon) =>
        beacon.Stuck ? DiskCondition.Stuck : beacon.Full ? DiskCondition.Full : DiskCondition.Fine;

    /// <summary>A message without contents.</summary>
    public static V1.PeerMessage ToWire(this ReplicationMessage message) => message switch
    {
        Beacon beacon => new()
        {
            Beacon = new()
            {
                Number = beacon.Number,
                Revision = beacon.Revision,
                Full = beacon.Disk == DiskCondition.Full,
                Leaving = beacon.IsLeaving,
                Stuck = beacon.Disk == DiskCondition.Stuck,
            },
        },
        BeaconAck ack => new() { BeaconAck = new() { Number = ack.Number, Revision = ack.Revision } },
        VoteRequest request => new() { VoteRequest = new() { Suspect = request.Suspect.Value } },
        Vote vote => new() { Vote = new() { Suspect = vote.Suspect.Value, IsSilent = vote.IsSilent } },
        ColdReport report => new()
        {
            ColdReport = new() { Shard = report.Shard.Value, Epoch = report.Epoch.Value, Last = report.Last.ToWire() },
        },
        AppendReply reply => new()
        {
            AppendReply = new()
            {
                Shard = reply.Shard.Value,
                Epoch = reply.Epoch.Value,
                Matched = reply.Matched.Value,
                Durable = reply.Durable.Value,
            },
        },
        AppendMismatch mismatch => new() { AppendMismatch = ToWire(mismatch) },
        StaleReign stale => new() { StaleReign = new() { Shard = stale.Shard.Value, Newer = stale.Newer.Value } },
        _ => throw new ArgumentException($"A message that has contents, or of no known kind: {message?.GetType().Name ?? "null"}."),
    };

    /// <summary>Entries with what is in them.</summary>
    public static V1.PeerMessage ToWire(this AppendEntries message, IEnumerable<ReadOnlyMemory<byte>> contents)
    {
        ArgumentNullException.ThrowIfNull(message);
        V1.AppendEntries sent = new()
        {
            Shard = message.Shard.Value,
            Epoch = message.Epoch.Value,
            Previous = message.Previous.ToWire(),
            Committed = message.Committed.Value,
            WantsDurable = message.WantsDurable.Value,
        };
        sent.Entries.AddRange(contents.Select(UnsafeByteOperations.UnsafeWrap));
        return new() { AppendEntries = sent };
    }

    /// <summary>What core is told of a message without contents.</summary>
    /// <exception cref="InvalidDataException">It has contents, or makes no sense.</exception>
    public static ReplicationMessage ToCore(this V1.PeerMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        return message.KindCase switch
        {
            V1.PeerMessage.KindOneofCase.Beacon =>
                new Beacon(message.Beacon.Number, message.Beacon.Revision, message.Beacon.ToDisk(), message.Beacon.Leaving),
            V1.PeerMessage.KindOneofCase.BeaconAck => new BeaconAck(message.BeaconAck.Number, message.BeaconAck.Revision),
            V1.PeerMessage.KindOneofCase.VoteRequest => new VoteRequest(new(message.VoteRequest.Suspect)),
            V1.PeerMessage.KindOneofCase.Vote => new Vote(new(message.Vote.Suspect), message.Vote.IsSilent),
            V1.PeerMessage.KindOneofCase.ColdReport => new ColdReport(
                ToShard(message.ColdReport.Shard), new(message.ColdReport.Epoch), message.ColdReport.Last.ToCore()),
            V1.PeerMessage.KindOneofCase.AppendReply => new AppendReply(
                ToShard(message.AppendReply.Shard),
                new(message.AppendReply.Epoch),
                new(message.AppendReply.Matched),
                new(message.AppendReply.Durable)),
            V1.PeerMessage.KindOneofCase.AppendMismatch => ToCore(message.AppendMismatch),
            V1.PeerMessage.KindOneofCase.StaleReign => new StaleReign(
                ToShard(message.StaleReign.Shard), new(message.StaleReign.Newer)),
            _ => throw new InvalidDataException($"a message of kind {message.KindCase} is not one of these"),
        };
    }

    /// <summary>What core is told of entries; each is checked to be whole, and the place to be one that a log can have.</summary>
    /// <exception cref="InvalidDataException">An entry is damaged, or the message makes no sense.</exception>
    public static AppendEntries ToCore(this V1.AppendEntries message)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (message.Entries.Count > MaxEntries) { throw new InvalidDataException($"{message.Entries.Count} entries in one message"); }
        ShardId shard = ToShard(message.Shard);
        LogPosition previous = message.Previous.ToCore();
        if (previous.Index.Value > ulong.MaxValue - MaxEntries) { throw new InvalidDataException($"no log has {previous.Index} entries"); }
        ImmutableArray<Epoch>.Builder epochs = ImmutableArray.CreateBuilder<Epoch>(message.Entries.Count);
        Span<byte> key = stackalloc byte[LogEntry.KeyBytes];
        LogIndex index = previous.Index;
        foreach (ByteString entry in message.Entries)
        {
            index = index.Next;
            LogEntry.WriteKey(shard, index, key);
            Status status = LogEntry.ReadValue(key, entry.Span, out Epoch epoch, out _, out _);
            if (status != Status.Ok) { throw new InvalidDataException($"entry {index} of shard {shard}: {status}"); }
            epochs.Add(epoch);
        }

        return new(
            shard, new(message.Epoch), previous, epochs.MoveToImmutable(), new(message.Committed), new(message.WantsDurable));
    }

    public static IEnumerable<V1.LogRun> ToWire(this ImmutableArray<LogRun> runs) =>
        runs.Select(static run => new V1.LogRun { Epoch = run.Epoch.Value, Last = run.Last.Value });

    /// <summary>The reigns that ended before an entry, as <see cref="LogShape.EndedBefore"/>.</summary>
    /// <exception cref="InvalidDataException">They cannot have.</exception>
    public static ImmutableArray<LogRun> ToEndedBefore(this IEnumerable<V1.LogRun> runs, LogPosition at)
    {
        ImmutableArray<LogRun> ended = [.. runs.Take(LogShape.MaxEnded + 1).Select(static run => new LogRun(new(run.Epoch), new(run.Last)))];
        return LogShape.MayHaveEnded(ended, at) ? ended : throw new InvalidDataException($"reigns that cannot have ended before {at}");
    }

    public static ShardId ToShard(uint value) => new(WireValues.To16Bits(value));

    private static V1.AppendMismatch ToWire(AppendMismatch mismatch)
    {
        V1.AppendMismatch sent = new()
        {
            Shard = mismatch.Shard.Value, Epoch = mismatch.Epoch.Value, NeedsSnapshot = mismatch.Needs,
        };
        sent.Runs.AddRange(mismatch.Runs.ToWire());
        return sent;
    }

    private static AppendMismatch ToCore(V1.AppendMismatch message)
    {
        if (message.Runs.Count > MaxRuns) { throw new InvalidDataException($"a log of {message.Runs.Count} reigns"); }
        LogRun last = default;
        foreach (V1.LogRun run in message.Runs)
        {
            if (run.Epoch < last.Epoch.Value || run.Last < last.Last.Value) { throw new InvalidDataException("runs that do not rise"); }
            last = new(new(run.Epoch), new(run.Last));
        }

        return new(
            ToShard(message.Shard),
            new(message.Epoch),
            [.. message.Runs.Select(static run => new LogRun(new(run.Epoch), new(run.Last)))],
            message.NeedsSnapshot);
    }
}
