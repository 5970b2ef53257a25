using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Proves that one may speak for a session; default: nobody but the process that opened it may.</summary>
public readonly record struct SessionToken(UInt128 Value)
{
    public const int Size = 16;
}

/// <summary>A client's session, as the log knows it.</summary>
/// <remarks>Key: session. Layout of the payload, 9 or 25 bytes, little-endian: 0-7: opened, ns since 1970; 8: <see cref="SessionAccess"/>;
/// 9-24: the token, big-endian, of a session that a later primary goes on with. Source: docs/format.md#sessions.</remarks>
public readonly record struct SessionRecord(Timestamp Opened, SessionAccess Access, SessionToken Token)
{
    public const int MaxPayloadBytes = ShortBytes + SessionToken.Size;

    private const int ShortBytes = 9;

    public int PayloadBytes => Token == default ? ShortBytes : MaxPayloadBytes;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteInt64LittleEndian(payload, Opened.Nanoseconds);
        payload[8] = (byte)Access;
        if (Token != default) { BinaryPrimitives.WriteUInt128BigEndian(payload[ShortBytes..], Token.Value); }
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out SessionRecord session)
    {
        session = default;
        if (payload.Length is not (ShortBytes or MaxPayloadBytes) || payload[8] > (byte)SessionAccess.SharedReadOnly) { return false; }
        SessionToken token = payload.Length == ShortBytes
            ? default
            : new(BinaryPrimitives.ReadUInt128BigEndian(payload[ShortBytes..]));
        session = new(new(BinaryPrimitives.ReadInt64LittleEndian(payload)), (SessionAccess)payload[8], token);
        return payload.Length == session.PayloadBytes;
    }

    /// <summary>Whether a session was opened and has not expired.</summary>
    public static bool Exists(SessionId session, DriveView view) => TryGet(session, view, out _);

    /// <summary>A session that was opened and has not expired.</summary>
    /// <exception cref="RecordCorruptException">Its record is damaged.</exception>
    public static bool TryGet(SessionId session, DriveView view, out SessionRecord found)
    {
        ArgumentNullException.ThrowIfNull(view);
        found = default;
        RecordKey key = RecordKey.Numbered(RecordKind.Session, session.Value);
        ByteBuffer payload = new(MaxPayloadBytes);
        if (!view.TryGet(ref key, payload)) { return false; }
        if (!TryDecode(payload.Span, out found)) { view.ThrowCorrupt(ref key); }
        return true;
    }
}
