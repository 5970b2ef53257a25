using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>One change of a batch.</summary>
public enum KeyValueOperation : byte
{
    Put = 1,
    Delete = 2,

    /// <summary>Deletes [key, value): the end of the range takes the place of the value.</summary>
    DeleteRange = 3,
}

/// <summary>Changes that become visible and durable together, in the order in which they were added.</summary>
/// <remarks>Made to be used again (<see cref="Clear"/>): it keeps its memory. Not thread safe. Layout in memory, per
/// change: operation, family, length of the key (u32), length of the value (u32), key, value.</remarks>
public sealed class KeyValueBatch
{
    private const int HeaderBytes = 10;

    private readonly ByteBuffer changes = new(4096);

    /// <summary>Changes in the batch.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of keys, values and headers: what bounds are checked against.</summary>
    public int Bytes => changes.Length;

    public void Put(Family family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) =>
        Add(KeyValueOperation.Put, family, key, value);

    public void Delete(Family family, ReadOnlySpan<byte> key) => Add(KeyValueOperation.Delete, family, key, []);

    /// <summary>Deletes the keys of [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public void DeleteRange(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        Add(KeyValueOperation.DeleteRange, family, from, to);

    /// <summary>The changes as the journal has them, lent until the batch changes.</summary>
    internal ReadOnlySpan<byte> Encoded => changes.Span;

    /// <summary>Adds the changes of another batch after those of this one.</summary>
    public void Append(KeyValueBatch other)
    {
        changes.Append(other.changes.Span);
        Count += other.Count;
    }

    public void Clear()
    {
        changes.Clear();
        Count = 0;
    }

    /// <summary>Replaces the changes by those in some bytes; false, and none, if the bytes make no sense or are not so
    /// many changes.</summary>
    internal bool TrySet(ReadOnlySpan<byte> encoded, int count)
    {
        Clear();
        int found = 0;
        for (ReadOnlySpan<byte> rest = encoded; !rest.IsEmpty; found++)
        {
            if (rest.Length < HeaderBytes
                || rest[0] is < (byte)KeyValueOperation.Put or > (byte)KeyValueOperation.DeleteRange
                || rest[1] > (byte)Family.System)
            {
                return false;
            }

            uint keyLength = BinaryPrimitives.ReadUInt32LittleEndian(rest[2..]);
            uint valueLength = BinaryPrimitives.ReadUInt32LittleEndian(rest[6..]);
            long length = HeaderBytes + (long)keyLength + valueLength;
            if (length > rest.Length) { return false; }
            rest = rest[(int)length..];
        }

        if (found != count) { return false; }
        changes.Set(encoded);
        Count = found;
        return true;
    }

    public Enumerator GetEnumerator() => new(changes.Span);

    private void Add(KeyValueOperation operation, Family family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        Span<byte> room = changes.Extend(checked(HeaderBytes + key.Length + value.Length));
        room[0] = (byte)operation;
        room[1] = (byte)family;
        BinaryPrimitives.WriteInt32LittleEndian(room[2..], key.Length);
        BinaryPrimitives.WriteInt32LittleEndian(room[6..], value.Length);
        key.CopyTo(room[HeaderBytes..]);
        value.CopyTo(room[(HeaderBytes + key.Length)..]);
        Count++;
    }

    /// <summary>One change, lent until the batch changes.</summary>
    public readonly ref struct Change(
        KeyValueOperation operation, Family family, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        public KeyValueOperation Operation { get; } = operation;

        public Family Family { get; } = family;

        public ReadOnlySpan<byte> Key { get; } = key;

        public ReadOnlySpan<byte> Value { get; } = value;
    }

    /// <summary>Walks the changes in order, without allocation.</summary>
    public ref struct Enumerator(ReadOnlySpan<byte> rest)
    {
        private ReadOnlySpan<byte> rest = rest;

        public Change Current { get; private set; }

        public bool MoveNext()
        {
            if (rest.IsEmpty) { return false; }
            int keyLength = BinaryPrimitives.ReadInt32LittleEndian(rest[2..]);
            int valueLength = BinaryPrimitives.ReadInt32LittleEndian(rest[6..]);
            Current = new Change(
                (KeyValueOperation)rest[0], (Family)rest[1],
                rest.Slice(HeaderBytes, keyLength), rest.Slice(HeaderBytes + keyLength, valueLength));
            rest = rest[(HeaderBytes + keyLength + valueLength)..];
            return true;
        }
    }
}
