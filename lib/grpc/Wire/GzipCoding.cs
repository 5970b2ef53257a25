using System.Buffers;
using System.IO.Compression;

namespace KvFs.Grpc.Wire;

/// <summary>Single messages under <c>grpc-encoding: gzip</c>. Off unless a peer asks for it, so it is plain, not fast.</summary>
internal static class GzipCoding
{
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
        using MemoryStream source = new(packed.ToArray());
        using GZipStream gzip = new(source, CompressionMode.Decompress);
        ArrayBufferWriter<byte> plain = new();
        while (true)
        {
            int read = gzip.Read(plain.GetSpan());
            if (read == 0) { return new ReadOnlySequence<byte>(plain.WrittenMemory); }
            plain.Advance(read);
            if (plain.WrittenCount > maxBytes) { throw MessageFrame.TooLarge(plain.WrittenCount, maxBytes, "received"); }
        }
    }
}
