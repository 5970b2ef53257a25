using System.Buffers;
using System.Buffers.Binary;

namespace KvFs.Grpc.Wire;

/// <summary>The five bytes before each message.</summary>
/// <remarks>Layout: 0: 1 if the message is compressed, else 0; 1-4: its length in bytes, big-endian.
/// Source: PROTOCOL-HTTP2.md, "Length-Prefixed-Message".</remarks>
internal static class MessageFrame
{
    public const int PrefixBytes = 5;

    public static void WritePrefix(Span<byte> prefix, bool compressed, int length)
    {
        prefix[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], length);
    }

    /// <summary>False if not all five bytes are there yet.</summary>
    /// <exception cref="GrpcException">INTERNAL: the flag is neither 0 nor 1. RESOURCE_EXHAUSTED: longer than allowed.
    /// </exception>
    public static bool TryReadPrefix(in ReadOnlySequence<byte> input, int maxBytes, out bool compressed, out int length)
    {
        compressed = false;
        length = 0;
        if (input.Length < PrefixBytes) { return false; }
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        input.Slice(0, PrefixBytes).CopyTo(prefix);
        if (prefix[0] > 1)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"a message starts with the byte {prefix[0]}, which is no compression flag");
        }
        compressed = prefix[0] == 1;
        uint stated = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (stated > (uint)maxBytes) { throw TooLarge(stated, maxBytes, "received"); }
        length = (int)stated;
        return true;
    }

    public static GrpcException TooLarge(long bytes, int maxBytes, string way) => new(
        GrpcStatusCode.ResourceExhausted, $"a message of {bytes} bytes cannot be {way}: the limit is {maxBytes}");
}
