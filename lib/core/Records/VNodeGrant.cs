using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Which ids of one group of VNode ids a session was granted and has not used: a bit for each id.</summary>
/// <remarks>Key: session, group (the id, divided by <see cref="GroupIds"/>), so that one look finds an id, in whatever order they
/// are used. Layout of the payload, 32 bytes, little-endian: bit n: the group's id n. A record without a bit does not exist.
/// Source: docs/format.md#vnode-ids.</remarks>
public static class VNodeGrant
{
    /// <summary>Ids of one group.</summary>
    public const uint GroupIds = 256;

    public const int PayloadBytes = (int)GroupIds / 8;

    private const int WordBits = 64;
    private const int WordBytes = WordBits / 8;

    public static RecordKey Key(SessionId session, ulong group) =>
        RecordKey.Numbered(RecordKind.VNodeGrant, session.Value, group);

    /// <summary>Whether a payload is one that some version of ours wrote.</summary>
    public static bool IsValid(ReadOnlySpan<byte> payload) =>
        payload.Length == PayloadBytes && payload.ContainsAnyExcept((byte)0);

    public static bool IsEmpty(ReadOnlySpan<byte> payload) => !payload.ContainsAnyExcept((byte)0);

    public static void Add(Span<byte> payload, ulong id) =>
        Write(payload, id, Read(payload, id) | Bit(id));

    /// <summary>Takes an id out; false if it is not there.</summary>
    public static bool TryTake(Span<byte> payload, ulong id)
    {
        ulong word = Read(payload, id);
        if ((word & Bit(id)) == 0) { return false; }
        Write(payload, id, word & ~Bit(id));
        return true;
    }

    private static ulong Bit(ulong id) => 1UL << (int)(id % WordBits);

    private static int WordOf(ulong id) => (int)(id % GroupIds / WordBits) * WordBytes;

    private static ulong Read(ReadOnlySpan<byte> payload, ulong id) =>
        BinaryPrimitives.ReadUInt64LittleEndian(payload[WordOf(id)..]);

    private static void Write(Span<byte> payload, ulong id, ulong word) =>
        BinaryPrimitives.WriteUInt64LittleEndian(payload[WordOf(id)..], word);
}
