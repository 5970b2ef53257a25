using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Puts and deletes, in order: what a transaction does, what the log keeps, what replicas apply.</summary>
/// <remarks>Layout, repeated: 0: operation (1 put, 2 delete, 3 delete range); 1-2: key length; 3-6: length of the value
/// (put) or of the end key (delete range), else 0; key; value. Little-endian. Source: docs/format.md#log.</remarks>
public sealed class RecordBatch
{
    private const int HeaderBytes = 7;

    private readonly ByteBuffer bytes = new(4096);

    public int Count { get; private set; }

    public int ByteCount => bytes.Length;

    /// <summary>It deletes ranges of keys, too.</summary>
    public bool HasRanges { get; private set; }

    public ReadOnlySpan<byte> Bytes => bytes.Span;

    public void Clear()
    {
        bytes.Clear();
        Count = 0;
        HasRanges = false;
    }

    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) => Add(RecordOperation.Put, key, value);

    public void Delete(ReadOnlySpan<byte> key) => Add(RecordOperation.Delete, key, default);

    /// <summary>Adds all of another batch behind what is here.</summary>
    public void Append(RecordBatch other)
    {
        ArgumentNullException.ThrowIfNull(other);
        other.Bytes.CopyTo(bytes.Extend(other.ByteCount));
        Count += other.Count;
        HasRanges |= other.HasRanges;
    }

    /// <summary>Deletes the keys of [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        HasRanges = true;
        Add(RecordOperation.DeleteRange, from, to);
    }

    /// <summary>Takes the first operation off <paramref name="rest"/>. False at the end and at bytes that are no batch;
    /// then <paramref name="rest"/> tells which: it is empty only at the end.</summary>
    public static bool TryReadNext(
        ref ReadOnlySpan<byte> rest,
        out RecordOperation operation,
        out ReadOnlySpan<byte> key,
        out ReadOnlySpan<byte> value)
    {
        operation = default;
        key = default;
        value = default;
        if (rest.Length < HeaderBytes) { return false; }
        operation = (RecordOperation)rest[0];
        int keyLength = BinaryPrimitives.ReadUInt16LittleEndian(rest[1..]);
        uint valueLength = BinaryPrimitives.ReadUInt32LittleEndian(rest[3..]);
        if (operation is < RecordOperation.Put or > RecordOperation.DeleteRange
            || (ulong)HeaderBytes + (ulong)keyLength + valueLength > (ulong)rest.Length)
        {
            return false;
        }

        key = rest.Slice(HeaderBytes, keyLength);
        value = rest.Slice(HeaderBytes + keyLength, (int)valueLength);
        rest = rest[(HeaderBytes + keyLength + (int)valueLength)..];
        return true;
    }

    private void Add(RecordOperation operation, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        Span<byte> header = bytes.Extend(HeaderBytes);
        header[0] = (byte)operation;
        BinaryPrimitives.WriteUInt16LittleEndian(header[1..], checked((ushort)key.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(header[3..], (uint)value.Length);
        bytes.Append(key);
        bytes.Append(value);
        Count++;
    }
}

/// <summary>What one entry of a <see cref="RecordBatch"/> does. Bytes on disk: never renumber.</summary>
public enum RecordOperation : byte
{
    Put = 1,
    Delete = 2,
    DeleteRange = 3,
}
