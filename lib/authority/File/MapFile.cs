using System.Buffers.Text;
using System.Globalization;
using System.Text;
using KvFs.Core;

namespace KvFs.Authority;

/// <summary>The bytes of a file with a pool map.</summary>
/// <remarks>One line of <see cref="HeaderBytes"/> bytes, <c>kvfs-pool-map 1 revision=(20 digits) bytes=(8 digits)
/// crc=(8 hex digits)</c> and a line feed; then so many bytes of map text (<see cref="PoolMapCodec"/>). crc: CRC-32C
/// of the line up to and with <c>crc=</c>, and of the text. Source: docs/placement.md#the-file.</remarks>
internal static class MapFile
{
    internal const int HeaderBytes = 74;

    internal const int MaxBytes = HeaderBytes + PoolLimits.MapBytes;

    private const int RevisionAt = 25;
    private const int RevisionDigits = 20;

    internal static byte[] Encode(PoolMap map)
    {
        byte[] text = PoolMapCodec.Encode(map);
        return [.. Header(map.Revision, text), .. text];
    }

    /// <summary>Reads the revision alone: 0 if the bytes are no whole header. Not checked against the checksum.</summary>
    internal static ulong PeekRevision(ReadOnlySpan<byte> header) =>
        header.Length >= HeaderBytes
        && Utf8Parser.TryParse(header.Slice(RevisionAt, RevisionDigits), out ulong revision, out int used)
        && used == RevisionDigits
            ? revision
            : 0;

    /// <summary>Reads a file: Ok or Damaged.</summary>
    internal static AuthorityAnswer Decode(ReadOnlyMemory<byte> bytes)
    {
        ReadOnlySpan<byte> header = bytes.Span[..Math.Min(HeaderBytes, bytes.Length)];
        if (!header.StartsWith("kvfs-pool-map "u8)) { return Damaged("it does not begin as one"); }
        if (!header.StartsWith("kvfs-pool-map 1 revision="u8))
        {
            return Damaged("it is of a format that this program does not know");
        }

        ReadOnlyMemory<byte> text = bytes[header.Length..];
        ulong revision = PeekRevision(header);
        if (!header.SequenceEqual(Header(revision, text.Span))) { return Damaged("its length or checksum does not match"); }
        if (PoolMapCodec.TryDecode(text, out PoolMap? map, out string reason) != Status.Ok) { return Damaged(reason); }
        return map!.Revision == revision ? AuthorityAnswer.Ok(map) : Damaged("its header is another map's");
    }

    private static byte[] Header(ulong revision, ReadOnlySpan<byte> text)
    {
        string line = string.Create(
            CultureInfo.InvariantCulture, $"kvfs-pool-map 1 revision={revision:d20} bytes={text.Length:d8} crc=");
        uint crc = Crc32C.Append(Crc32C.Compute(Encoding.ASCII.GetBytes(line)), text);
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line}{crc:x8}\n"));
    }

    private static AuthorityAnswer Damaged(string reason) => new(AuthorityOutcome.Damaged, null, reason);
}
