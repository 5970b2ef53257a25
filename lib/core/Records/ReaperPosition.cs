using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>How far the reaper of history has come: the payload of the Reaper record. There is one while it has work.</summary>
/// <remarks>It walks in a circle: from <see cref="Next"/> to the last history record, then from the first one up to
/// <see cref="Stop"/>. A snapshot that is deleted meanwhile only moves the stop to where it is now, so that it never begins
/// anew. Layout: 0: 1 if it is past the end and begun again at the first; 1-2: length n of Next, little-endian; n bytes: Next;
/// the rest: Stop; both relative keys, empty for "the first". Source: docs/format.md#reaper.</remarks>
internal readonly ref struct ReaperPosition
{
    private const int FixedBytes = 3;

    public bool Wrapped { get; init; }

    public ReadOnlySpan<byte> Next { get; init; }

    public ReadOnlySpan<byte> Stop { get; init; }

    public void Encode(ByteBuffer payload)
    {
        payload.Clear();
        Span<byte> bytes = payload.Extend(FixedBytes);
        bytes[0] = Wrapped ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[1..], (ushort)Next.Length);
        payload.Append(Next);
        payload.Append(Stop);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out ReaperPosition position)
    {
        position = default;
        if (payload.Length < FixedBytes || payload[0] > 1) { return false; }
        int nextBytes = BinaryPrimitives.ReadUInt16LittleEndian(payload[1..]);
        ReadOnlySpan<byte> keys = payload[FixedBytes..];
        if (nextBytes > keys.Length) { return false; }
        position = new() { Wrapped = payload[0] == 1, Next = keys[..nextBytes], Stop = keys[nextBytes..] };
        return IsPlace(position.Next) && IsPlace(position.Stop);
    }

    private static bool IsPlace(ReadOnlySpan<byte> key) =>
        key.IsEmpty || (key[0] == (byte)RecordKind.History && key.Length <= RecordKey.MaxBytes - DriveId.Size);
}
