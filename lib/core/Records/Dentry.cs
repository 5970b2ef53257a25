using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What a name of a directory leads to.</summary>
/// <remarks>Layout of the payload, 9 bytes: 0-7: child's id, little-endian; 8: <see cref="VNodeKind"/>. Source:
/// docs/format.md#dentry.</remarks>
public readonly record struct Dentry(VNodeId Child, VNodeKind Kind)
{
    public const int PayloadBytes = 9;

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, Child.Value);
        payload[8] = (byte)Kind;
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out Dentry dentry)
    {
        dentry = default;
        if (payload.Length != PayloadBytes || payload[8] is < (byte)VNodeKind.File or > (byte)VNodeKind.Socket)
        {
            return false;
        }

        dentry = new(new(BinaryPrimitives.ReadUInt64LittleEndian(payload)), (VNodeKind)payload[8]);
        return true;
    }
}
