using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Locks as records: so that they outlive the primary that granted them.</summary>
/// <remarks>Key: <see cref="RecordKey.Lock"/>. Layout of the payload, 13 bytes, little-endian: 0-7: last byte; 8:
/// <see cref="LockType"/>; 9-12: process id. Source: docs/format.md#locks.</remarks>
public static class LockRecords
{
    public const int PayloadBytes = 13;

    /// <summary>Writes what a change of the table did; the table's later changes must follow in the log's order.</summary>
    public static void Write(IEnumerable<LockChange> changes, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(changes);
        ArgumentNullException.ThrowIfNull(transaction);
        Span<byte> payload = stackalloc byte[PayloadBytes];
        foreach (LockChange change in changes)
        {
            FileLock held = change.Lock;
            RecordKey key = RecordKey.Lock(
                change.Node, held.Owner.Session, held.Owner.Owner, held.Start, (byte)change.Space);
            if (change.Removed)
            {
                transaction.Delete(ref key);
                continue;
            }

            Encode(held, payload);
            transaction.Put(ref key, payload);
        }
    }

    /// <summary>Fills an empty table with a drive's locks.</summary>
    /// <exception cref="RecordCorruptException">A record is damaged.</exception>
    public static void Load(DriveView view, LockTable table)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(table);
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Lock));
        while (cursor.MoveNext())
        {
            if (!TryDecode(cursor.Key, cursor.Payload, out LockChange held))
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                view.ThrowCorrupt(ref key);
            }

            table.Restore(held.Node, held.Space, held.Lock);
        }
    }

    /// <summary>Removes the locks of sessions that have ended.</summary>
    public static void RemoveOfOthers(ISessionLiveness living, DriveTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(living);
        ArgumentNullException.ThrowIfNull(transaction);
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Single(RecordKind.Lock));
        while (cursor.MoveNext())
        {
            // One that nobody can read is nobody's.
            if (TryDecode(cursor.Key, cursor.Payload, out LockChange held) && living.IsLive(held.Lock.Owner.Session)) { continue; }
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }
    }

    public static void Encode(in FileLock held, Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, held.End);
        payload[8] = (byte)held.Type;
        BinaryPrimitives.WriteUInt32LittleEndian(payload[9..], held.ProcessId);
    }

    /// <summary>Reads a record; false if it is none of a lock.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> relativeKey, ReadOnlySpan<byte> payload, out LockChange held)
    {
        held = default;
        if (relativeKey.Length != 2 + 8 + 8 + 8 + 8 + 1 || relativeKey[0] != (byte)RecordKind.Lock
            || relativeKey[^1] > (byte)LockSpace.Whole || payload.Length != PayloadBytes
            || payload[8] is not ((byte)LockType.Read or (byte)LockType.Write))
        {
            return false;
        }

        ReadOnlySpan<byte> body = relativeKey[2..];
        LockOwner owner = new(
            new(BinaryPrimitives.ReadUInt64BigEndian(body[8..])), BinaryPrimitives.ReadUInt64BigEndian(body[16..]));
        FileLock found = new(
            BinaryPrimitives.ReadUInt64BigEndian(body[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload),
            (LockType)payload[8],
            owner,
            BinaryPrimitives.ReadUInt32LittleEndian(payload[9..]));
        held = new(new(BinaryPrimitives.ReadUInt64BigEndian(body)), (LockSpace)relativeKey[^1], found, Removed: false);
        return found.Start <= found.End && found.End <= LockTable.LastByte;
    }
}
