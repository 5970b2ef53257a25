using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>A client's session, as the log knows it.</summary>
/// <remarks>Key: session. Layout of the payload, 9 bytes, little-endian: 0-7: opened, ns since 1970; 8: 1 if it may only read.
/// Source: docs/format.md#sessions.</remarks>
public readonly record struct SessionRecord(Timestamp Opened, bool ReadOnly)
{
    public const int PayloadBytes = 9;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteInt64LittleEndian(payload, Opened.Nanoseconds);
        payload[8] = ReadOnly ? (byte)1 : (byte)0;
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out SessionRecord session)
    {
        session = default;
        if (payload.Length != PayloadBytes || payload[8] > 1) { return false; }
        session = new(new(BinaryPrimitives.ReadInt64LittleEndian(payload)), payload[8] == 1);
        return true;
    }

    /// <summary>Whether a session was opened and has not expired.</summary>
    public static bool Exists(SessionId session, DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        RecordKey key = RecordKey.Numbered(RecordKind.Session, session.Value);
        return view.TryGet(ref key, new ByteBuffer(PayloadBytes));
    }
}
