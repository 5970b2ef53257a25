using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>The name of a request: sent again, it is the same one.</summary>
/// <param name="Session">Whose.</param>
/// <param name="Slot">Below <see cref="RequestLedger.Slots"/>; a client has one request on its way in each.</param>
/// <param name="Sequence">Rises within the slot; from 1.</param>
public readonly record struct RequestId(SessionId Session, ushort Slot, ulong Sequence);

/// <summary>What a primary is to do with a request.</summary>
public enum RequestVerdict : byte
{
    /// <summary>Apply it, and keep its result in the same transaction.</summary>
    Apply = 1,

    /// <summary>It was applied: answer what was kept.</summary>
    Repeat = 2,

    /// <summary>A later request of its slot was applied: nobody waits for this answer. Refuse it.</summary>
    Outdated = 3,

    /// <summary>Its session is unknown or has expired: refuse it, never apply it.</summary>
    Expired = 4,

    /// <summary>No such slot or sequence.</summary>
    Invalid = 5,
}

/// <summary>Sees to it that a request is applied once, however often it is sent.</summary>
/// <remarks>
/// One result is kept per slot, in the transaction of the effect, so that it is there if and only if the effect is, on
/// whichever node is primary. A request that changed nothing keeps no result: it may be decided again. Payload of the
/// record, little-endian: 0-7: sequence; 8: <see cref="Status"/>; 9 on: the result, whose form is the protocol's business.
/// Source: docs/design.md, section 6, "Exactly once".
/// </remarks>
public static class RequestLedger
{
    /// <summary>Requests that one session has on their way at the most.</summary>
    public const int Slots = 1024;

    /// <summary>Bytes of a kept result: more than a transaction of <see cref="TransactRequest.MaxOperations"/> answers.</summary>
    public const int ResultBytes = 256 << 10;

    private const int HeaderBytes = 9;

    /// <summary>Decides, and for a repeat copies the kept result.</summary>
    public static RequestVerdict Check(in RequestId request, DriveView view, ByteBuffer result, out Status status)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(result);
        status = default;
        result.Clear();
        if (request.Slot >= Slots || request.Sequence == 0) { return RequestVerdict.Invalid; }
        if (!SessionRecord.Exists(request.Session, view)) { return RequestVerdict.Expired; }
        RecordKey key = RecordKey.RequestResult(request.Session, request.Slot);
        ByteBuffer kept = new();
        if (!view.TryGet(ref key, kept)) { return RequestVerdict.Apply; }
        if (!TryDecode(kept.Span, out ulong sequence, out status, out ReadOnlySpan<byte> bytes)) { view.ThrowCorrupt(ref key); }
        if (request.Sequence > sequence) { return RequestVerdict.Apply; }
        if (request.Sequence < sequence) { return RequestVerdict.Outdated; }
        result.Set(bytes);
        return RequestVerdict.Repeat;
    }

    /// <summary>Keeps the result of a request in the transaction that applies it. TooLarge: it is longer than may be
    /// kept.</summary>
    public static Status Keep(
        in RequestId request, Status status, ReadOnlySpan<byte> result, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        if (result.Length > ResultBytes) { return Status.TooLarge; }
        RecordKey key = RecordKey.RequestResult(request.Session, request.Slot);
        ByteBuffer payload = new(HeaderBytes + result.Length);
        Span<byte> header = payload.Extend(HeaderBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(header, request.Sequence);
        header[8] = (byte)status;
        payload.Append(result);
        transaction.Put(ref key, payload.Span);
        return Status.Ok;
    }

    /// <summary>Reads a kept result; false if the payload is none.</summary>
    public static bool TryDecode(
        ReadOnlySpan<byte> payload, out ulong sequence, out Status status, out ReadOnlySpan<byte> result)
    {
        sequence = 0;
        status = default;
        result = default;
        if (payload.Length is < HeaderBytes or > HeaderBytes + ResultBytes) { return false; }
        sequence = BinaryPrimitives.ReadUInt64LittleEndian(payload);
        status = (Status)payload[8];
        result = payload[HeaderBytes..];
        return sequence > 0;
    }
}
