using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;

namespace KvFs.Grpc.Wire;

/// <summary>Single messages under <c>grpc-encoding: gzip</c>. Off unless a peer asks for it, so it is plain, not fast.</summary>
/// <remarks>Source: RFC 1952. A message is one member.</remarks>
internal static class GzipCoding
{
    /// <summary>Header, the shortest possible body, checksum and length.</summary>
    private const int MinBytes = 10 + 2 + 8;

    public static byte[] Compress(ReadOnlySpan<byte> plain)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true)) { gzip.Write(plain); }
        return packed.ToArray();
    }

    /// <summary>What a peer compressed, never more than the limit: a few bytes can stand for gigabytes.</summary>
    /// <exception cref="InvalidDataException">The bytes are no gzip.</exception>
    /// <exception cref="GrpcException">RESOURCE_EXHAUSTED: more than <paramref name="maxBytes"/>.</exception>
    public static ReadOnlySequence<byte> Expand(in ReadOnlySequence<byte> packed, int maxBytes)
    {
        byte[] whole = packed.ToArray();
        if (whole.Length == 0) { return default; }  // What .NET's own compressor makes of nothing.
        if (whole.Length < MinBytes) { throw new InvalidDataException("a gzip stream is too short"); }
        using MemoryStream source = new(whole);
        using GZipStream gzip = new(source, CompressionMode.Decompress);
        ArrayBufferWriter<byte> plain = new();
        while (true)
        {
            int read = gzip.Read(plain.GetSpan());
            if (read == 0) { break; }
            plain.Advance(read);
            if (plain.WrittenCount > maxBytes) { throw MessageFrame.TooLarge(plain.WrittenCount, maxBytes, "received"); }
        }
        // GZipStream takes a stream that is cut off for one that ends. Its last four bytes say how long the text was.
        if (BinaryPrimitives.ReadUInt32LittleEndian(whole.AsSpan(^sizeof(uint)..)) != plain.WrittenCount)
        {
            throw new InvalidDataException("a gzip stream is cut off");
        }
        return new ReadOnlySequence<byte>(plain.WrittenMemory);
    }
}
