using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>How much of a block is referred to, by present slices and by those that a retained version sees.</summary>
/// <remarks>Layout of the payload, 16 bytes, little-endian: 0-7: references (runs of slice and base records that name the
/// block); 8-15: live bytes (their lengths, summed). Source: docs/format.md#blocks.</remarks>
public readonly record struct BlockUse(ulong References, ulong LiveBytes)
{
    public const int PayloadBytes = 16;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, References);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[8..], LiveBytes);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out BlockUse use)
    {
        use = default;
        if (payload.Length != PayloadBytes) { return false; }
        use = new(
            BinaryPrimitives.ReadUInt64LittleEndian(payload), BinaryPrimitives.ReadUInt64LittleEndian(payload[8..]));
        return use.References > 0;
    }
}

/// <summary>A run of block ids, from the key's on, that nothing refers to and nothing ever will.</summary>
/// <remarks>Layout of the payload, 12 bytes, little-endian: 0-7: CoW number of the transaction that freed them; 8-11: ids.
/// The store may drop the blocks once that transaction is durable. Source: docs/format.md#blocks.</remarks>
public readonly record struct DeadBlocks(CowNumber Since, uint Count)
{
    public const int PayloadBytes = 12;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, Since.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[8..], Count);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out DeadBlocks dead)
    {
        dead = default;
        if (payload.Length != PayloadBytes) { return false; }
        dead = new(
            new(BinaryPrimitives.ReadUInt64LittleEndian(payload)), BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]));
        return dead.Count > 0;
    }
}

/// <summary>A run of block ids, up to the key's, that a session may fill and has not committed yet.</summary>
/// <remarks>Layout of the payload, 4 bytes, little-endian: ids. Source: docs/format.md#blocks.</remarks>
public readonly record struct BlockGrant(uint Count)
{
    public const int PayloadBytes = 4;

    public void Encode(Span<byte> payload) => BinaryPrimitives.WriteUInt32LittleEndian(payload, Count);

    public static bool TryDecode(ReadOnlySpan<byte> payload, out BlockGrant grant)
    {
        grant = default;
        if (payload.Length != PayloadBytes) { return false; }
        grant = new(BinaryPrimitives.ReadUInt32LittleEndian(payload));
        return grant.Count > 0;
    }
}

/// <summary>The first cluster of a file that is cut off while its records still wait to be removed.</summary>
/// <remarks>Layout of the payload, 4 bytes, little-endian: cluster. Versioned. Source: docs/format.md#cut.</remarks>
public readonly record struct DataCut(uint FirstCluster)
{
    public const int PayloadBytes = 4;

    public void Encode(Span<byte> payload) => BinaryPrimitives.WriteUInt32LittleEndian(payload, FirstCluster);

    public static bool TryDecode(ReadOnlySpan<byte> payload, out DataCut cut)
    {
        cut = default;
        if (payload.Length != PayloadBytes) { return false; }
        cut = new(BinaryPrimitives.ReadUInt32LittleEndian(payload));
        return true;
    }
}
