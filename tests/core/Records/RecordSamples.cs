using System.Collections.Immutable;
using System.Text;

namespace KvFs.Core.Tests;

/// <summary>One record of each kind, with every field at a value of its own.</summary>
/// <param name="Name">The golden file's, without ending.</param>
/// <param name="Key">The relative key.</param>
/// <param name="Payload">Without the envelope.</param>
/// <param name="Reads">Whether bytes are this record again.</param>
internal sealed record RecordSample(string Name, byte[] Key, byte[] Payload, Func<byte[], byte[], bool> Reads);

internal static class RecordSamples
{
    public static readonly DriveId Drive = new(((UInt128)0x0192_F0C1_1111_7222 << 64) | 0x8333_4444_5555_6666);
    public static readonly DriveId Origin = new(((UInt128)0x0192_F0C1_0000_7000 << 64) | 0x8000_1111_2222_3333);
    public static readonly CowNumber Written = new(0x0A0B_0C0D);

    private static readonly VNodeId Node = new(0x0102_0304_0506_0708);
    private static readonly SessionId Session = new(0x1112_1314_1516_1718);

    public static IReadOnlyList<RecordSample> All { get; } = [.. OfNames(), .. OfData(), .. OfDrives(), .. OfSessions()];

    private static IEnumerable<RecordSample> OfNames()
    {
        VNode vnode = new()
        {
            Kind = VNodeKind.File, Mode = 0x9A4, Uid = 1000, Gid = 100, Nlink = 2, Rdev = 0x0801,
            Flags = VNodeFlags.HasXattrs | VNodeFlags.HasCut, Size = 5_000_000_000, AllocatedBytes = 4096,
            AccessTime = new(1), ModifyTime = new(-2), ChangeTime = new(3_000_000_000), BirthTime = new(4),
            Parent = VNodeId.Root, DataVersion = new(77),
        };
        byte[] bytes = new byte[VNode.PayloadBytes];
        vnode.Encode(bytes);
        yield return new("ns-vnode-v1", Relative(RecordKey.VNode(Node)), bytes,
            (_, payload) => VNode.TryDecode(payload, out VNode read) && read == vnode);

        Dentry dentry = new(Node, VNodeKind.Socket);
        bytes = new byte[Dentry.PayloadBytes];
        dentry.Encode(bytes);
        yield return new("ns-dentry-v1", Relative(RecordKey.Dentry(VNodeId.Root, "name"u8)), bytes,
            (key, payload) => Dentry.TryDecode(payload, out Dentry read) && read == dentry
                && RecordKey.TrySplitDentry(key, out VNodeId parent, out ulong hash, out ReadOnlySpan<byte> name)
                && parent == VNodeId.Root && hash == NameHash.Compute("name"u8) && name.SequenceEqual("name"u8));
        yield return new("ns-link-v1", Relative(RecordKey.Link(Node, VNodeId.Root, "other"u8)), [],
            (key, _) => RecordKey.TrySplitLink(key, out VNodeId parent, out ReadOnlySpan<byte> name)
                && parent == VNodeId.Root && name.SequenceEqual("other"u8));
        yield return new("ns-xattr-v1", Relative(RecordKey.Xattr(Node, "user.a"u8)), "value"u8.ToArray(),
            (key, payload) => payload.AsSpan().SequenceEqual("value"u8)
                && RecordKey.TrySplitXattr(key, out VNodeId id, out ReadOnlySpan<byte> name)
                && id == Node && name.SequenceEqual("user.a"u8));
        yield return new("ns-symlink-v1", Relative(RecordKey.Symlink(Node)), "../target"u8.ToArray(),
            (_, payload) => payload.AsSpan().SequenceEqual("../target"u8));
        yield return new("ns-orphan-v1", Relative(RecordKey.Numbered(RecordKind.Orphan, Node.Value, Session.Value)), [],
            (key, _) => IsNumbers(key, Node.Value, Session.Value));
    }

    private static IEnumerable<RecordSample> OfData()
    {
        byte[] key = Relative(RecordKey.Slice(Node, 0x2122_2324, Written, 9));
        Slice block = new(0x1000, 0x2000, SliceKind.Block, new(Drive, new(0x3132_3334)), 0x4142);
        Slice inline = new(7, 5, SliceKind.Inline, default, 0);
        yield return OfSlice("ns-slice-block-v1", key, block, []);
        yield return OfSlice("ns-slice-inline-v1", key, inline, "bytes"u8.ToArray());
        yield return OfSlice("ns-slice-hole-v1", key, new(1, 2, SliceKind.Hole, default, 0), []);
        yield return OfSlice("ns-slice-unwritten-v1", key, new(3, 4, SliceKind.Unwritten, default, 0), []);

        Slice[] runs =
        [
            block,
            new(0x3000, 0x10, SliceKind.Unwritten, default, 0),
            new(0x4000, 0x20, SliceKind.Block, new(Origin, new(8)), 0),
        ];
        ByteBuffer payload = new();
        ClusterBase.Encode(runs, payload);
        yield return new("ns-base-v1", Relative(RecordKey.Slice(Node, 3, default, 0)), payload.Span.ToArray(), (read, bytes) =>
        {
            List<Slice> decoded = [];
            return ClusterBase.TryDecode(bytes, decoded) && decoded.SequenceEqual(runs)
                && RecordKey.TrySplitSlice(read, out SliceKey slice) && slice.IsBase && slice.Cluster == 3;
        });

        byte[] history = Relative(RecordKey.History(key, new(0x5152)));
        yield return new("ns-history-v1", history, OfSlice("", key, inline, "bytes"u8.ToArray()).Payload, (read, _) =>
            RecordKey.TrySplitHistory(read, out ReadOnlySpan<byte> original, out CowNumber superseded)
                && original.SequenceEqual(key) && superseded == new CowNumber(0x5152));

        yield return Of("ns-cut-v1", RecordKey.Numbered(RecordKind.Cut, Node.Value), DataCut.PayloadBytes,
            new DataCut(6).Encode, bytes => DataCut.TryDecode(bytes, out DataCut cut) && cut == new DataCut(6));
        BlockUse use = new(3, 12_288);
        yield return Of("ns-block-live-v1", RecordKey.Numbered(RecordKind.BlockLive, 0x3132_3334), BlockUse.PayloadBytes,
            use.Encode, bytes => BlockUse.TryDecode(bytes, out BlockUse read) && read == use);
        DeadBlocks dead = new(Written, 4);
        yield return Of("ns-block-dead-v1", RecordKey.Numbered(RecordKind.BlockDead, 0x3132_3338), DeadBlocks.PayloadBytes,
            dead.Encode, bytes => DeadBlocks.TryDecode(bytes, out DeadBlocks read) && read == dead);
        yield return Of("ns-grant-v1", RecordKey.Numbered(RecordKind.Grant, Session.Value, 0x3132_4000), BlockGrant.PayloadBytes,
            new BlockGrant(64).Encode, bytes => BlockGrant.TryDecode(bytes, out BlockGrant read) && read.Count == 64);
    }

    private static IEnumerable<RecordSample> OfDrives()
    {
        DrivePolicy policy = new(
            "volume-1", DriveKind.Block, DriveFlags.Hidden, 1 << 30, 1000, new(5), [new(Origin, new(55))]);
        ByteBuffer payload = new();
        policy.Encode(payload);
        yield return new("ns-drive-v1", Relative(RecordKey.Single(RecordKind.Drive)), payload.Span.ToArray(), (_, bytes) =>
            DrivePolicy.TryDecode(bytes, out DrivePolicy? read) && read!.Origins.SequenceEqual(policy.Origins)
                && read with { Origins = policy.Origins } == policy);

        DrivePolicy spread = policy with { Spread = 37 };
        ByteBuffer wide = new();
        spread.Encode(wide);
        yield return new("ns-drive-v2", Relative(RecordKey.Single(RecordKind.Drive)), wide.Span.ToArray(), (_, bytes) =>
            DrivePolicy.TryDecode(bytes, out DrivePolicy? read) && read!.Origins.SequenceEqual(spread.Origins)
                && read with { Origins = spread.Origins } == spread);

        DriveCounters counters = new() { UsedBytes = 11, UsedInodes = 12, LastCow = new(13) };
        yield return Of("ns-usage-v1", RecordKey.Single(RecordKind.Usage), DriveCounters.PayloadBytes, counters.EncodeUsage,
            bytes => DriveCounters.TryDecodeUsage(bytes, out DriveCounters read) && read == counters);
        IdMarks marks = new(21, 22, 23, 24);
        yield return Of("ns-reservation-v1", RecordKey.Single(RecordKind.Reservation), IdMarks.PayloadBytes, marks.Encode,
            bytes => IdMarks.TryDecode(bytes, out IdMarks read) && read == marks);
        RetainedVersion version = new(new(55), new(6), 7, 8);
        yield return Of("ns-snapshot-v1", RecordKey.Snapshot("daily-1"u8), RetainedVersion.PayloadBytes, version.Encode,
            bytes => RetainedVersion.TryDecode(bytes, out RetainedVersion read) && read == version);
        yield return Of("ns-pin-v1", RecordKey.Pin(Origin), RetainedVersion.PayloadBytes, version.Encode,
            bytes => RetainedVersion.TryDecode(bytes, out RetainedVersion read) && read == version);

        byte[] next = Relative(RecordKey.History(Relative(RecordKey.VNode(Node)), Written));
        new ReaperPosition() { Wrapped = true, Next = next, Stop = next }.Encode(payload);
        yield return new("ns-reaper-v1", Relative(RecordKey.Single(RecordKind.Reaper)), payload.Span.ToArray(), (_, bytes) =>
            ReaperPosition.TryDecode(bytes, out ReaperPosition read) && read.Wrapped
                && read.Next.SequenceEqual(next) && read.Stop.SequenceEqual(next));
    }

    private static IEnumerable<RecordSample> OfSessions()
    {
        byte[] ids = new byte[VNodeGrant.PayloadBytes];
        foreach (ulong id in (ulong[])[0x3132_3300, 0x3132_3341, 0x3132_33FF]) { VNodeGrant.Add(ids, id); }
        yield return new("ns-vnode-grant-v1", Relative(VNodeGrant.Key(Session, 0x3132_33)), ids, (_, payload) =>
            VNodeGrant.IsValid(payload) && VNodeGrant.TryTake(payload, 0x3132_3341)
                && !VNodeGrant.TryTake(payload, 0x3132_3341) && !VNodeGrant.TryTake(payload, 0x3132_3301)
                && VNodeGrant.TryTake(payload, 0x3132_33FF) && VNodeGrant.TryTake(payload, 0x3132_3300)
                && VNodeGrant.IsEmpty(payload));

        yield return new("ns-delegation-v1", Relative(RecordKey.Numbered(RecordKind.Delegation, Session.Value, Node.Value)), [],
            (key, _) => IsNumbers(key, Session.Value, Node.Value));

        SessionRecord session = new(new(9), SessionAccess.ReadOnly, default);
        yield return Of("ns-session-v1", RecordKey.Numbered(RecordKind.Session, Session.Value), session.PayloadBytes,
            session.Encode, bytes => SessionRecord.TryDecode(bytes, out SessionRecord read) && read == session);

        SessionRecord lasting = new(new(9), SessionAccess.Alone, new((UInt128)0x3132_3334 << 96));
        yield return Of("ns-session-v2", RecordKey.Numbered(RecordKind.Session, Session.Value), lasting.PayloadBytes,
            lasting.Encode, bytes => SessionRecord.TryDecode(bytes, out SessionRecord read) && read == lasting);

        SessionRecord shared = new(new(9), SessionAccess.SharedReadOnly, new((UInt128)0x3132_3334 << 96));
        yield return Of("ns-session-v3", RecordKey.Numbered(RecordKind.Session, Session.Value), shared.PayloadBytes,
            shared.Encode, bytes => SessionRecord.TryDecode(bytes, out SessionRecord read) && read == shared);

        FileLock held = new(100, 200, LockType.Write, new(Session, 0x6162), 4711);
        byte[] bytes = new byte[LockRecords.PayloadBytes];
        LockRecords.Encode(held, bytes);
        byte[] lockKey = Relative(RecordKey.Lock(Node, Session, 0x6162, 100, (byte)LockSpace.Whole));
        yield return new("ns-lock-v1", lockKey, bytes, (key, payload) =>
            LockRecords.TryDecode(key, payload, out LockChange read)
                && read == new LockChange(Node, LockSpace.Whole, held, Removed: false));

        byte[] result = [42, 0, 0, 0, 0, 0, 0, 0, (byte)Status.Exists, .. "kept"u8];
        yield return new("ns-request-result-v1", Relative(RecordKey.RequestResult(Session, 1023)), result, (_, payload) =>
            RequestLedger.TryDecode(payload, out ulong sequence, out Status status, out ReadOnlySpan<byte> kept)
                && sequence == 42 && status == Status.Exists && kept.SequenceEqual("kept"u8));
    }

    private delegate void Encoder(Span<byte> payload);

    private static RecordSample Of(
        string name, RecordKey key, int payloadBytes, Encoder encode, Func<byte[], bool> reads)
    {
        byte[] payload = new byte[payloadBytes];
        encode(payload);
        return new(name, Relative(key), payload, (_, bytes) => reads(bytes));
    }

    private static RecordSample OfSlice(string name, byte[] key, Slice slice, byte[] inline)
    {
        ByteBuffer payload = new();
        slice.Encode(inline, payload);
        return new(name, key, payload.Span.ToArray(), (readKey, bytes) =>
            Slice.TryDecode(bytes, out Slice read, out ReadOnlySpan<byte> readInline) && read == slice
                && readInline.SequenceEqual(inline) && RecordKey.TrySplitSlice(readKey, out SliceKey place)
                && place == new SliceKey(Node, 0x2122_2324, Written, 9));
    }

    private static bool IsNumbers(byte[] key, ulong first, ulong second) =>
        RecordKey.TrySplitNumbers(key, out ulong readFirst, out ulong readSecond)
        && readFirst == first && readSecond == second;

    private static byte[] Relative(RecordKey key) => key.Relative.ToArray();
}
