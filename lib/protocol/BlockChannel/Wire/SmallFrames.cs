using System.Buffers.Binary;
using System.Text;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>How a request ended.</summary>
/// <remarks>Fields behind the header: 20: status; 21-23: zero; 24-31: epoch. No flags, no payload. Source:
/// docs/block-channel.md#answer.</remarks>
internal static class AnswerFrame
{
    private const int Size = 32;

    /// <summary>Writes the head; answers its length.</summary>
    public static int Put(ulong request, BlockAnswer answer, Span<byte> head)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(head[FrameHeader.Size..], (byte)answer.Status);
        BinaryPrimitives.WriteUInt64LittleEndian(head[24..], answer.Epoch.Value);
        new FrameHeader(FrameKind.Answer, 0, request, Size, 0).Seal(head);
        return Size;
    }

    /// <summary>Reads a whole head that is intact.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Get(in FrameHeader header, ReadOnlySpan<byte> head, out BlockAnswer answer)
    {
        answer = default;
        if (header.HeadBytes != Size || header.PayloadBytes != 0 || header.Flags != 0)
        {
            return "an answer has 32 bytes of head, no flags and no payload";
        }

        if (head[21..24].ContainsAnyExcept((byte)0)) { return "an answer's reserved bytes are not zero"; }
        answer = new((Status)head[FrameHeader.Size], new(BinaryPrimitives.ReadUInt64LittleEndian(head[24..])));
        return null;
    }
}

/// <summary>Frames that are no more than their header: cancel, ping, pong, drain.</summary>
internal static class BareFrame
{
    /// <summary>Writes the head; answers its length.</summary>
    public static int Put(FrameKind kind, ulong request, Span<byte> head)
    {
        new FrameHeader(kind, 0, request, FrameHeader.Size, 0).Seal(head);
        return FrameHeader.Size;
    }

    /// <returns>Null, or what is wrong.</returns>
    public static string? Check(in FrameHeader header) =>
        header is { HeadBytes: FrameHeader.Size, PayloadBytes: 0, Flags: 0 } ? null : $"{header.Kind} has nothing but its header";
}

/// <summary>The sender's last frame.</summary>
/// <remarks>Fields behind the header: 20: status; 21-23: zero; 24 on: why, at most 255 bytes of UTF-8. No flags, no payload.
/// Source: docs/block-channel.md#bye.</remarks>
internal static class ByeFrame
{
    private const int TextStart = 24;

    /// <summary>Writes the head; answers its length.</summary>
    public static int Put(Status status, string reason, Span<byte> head)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(head[FrameHeader.Size..], (byte)status);
        int length = TextStart + Reason.Put(reason, head[TextStart..]);
        new FrameHeader(FrameKind.Bye, 0, 0, length, 0).Seal(head);
        return length;
    }

    /// <summary>Reads a whole head that is intact.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Get(in FrameHeader header, ReadOnlySpan<byte> head, out Status status, out string reason)
    {
        status = default;
        reason = string.Empty;
        if (header.HeadBytes is < TextStart or > TextStart + WireLimits.ReasonBytes
            || header.PayloadBytes != 0 || header.Flags != 0 || head[21..24].ContainsAnyExcept((byte)0))
        {
            return "a goodbye has a status, a reason, and nothing else";
        }

        status = (Status)head[FrameHeader.Size];
        reason = Reason.Get(head[TextStart..]);
        return null;
    }
}

/// <summary>Words for people, on the wire.</summary>
internal static class Reason
{
    /// <summary>Writes as many whole characters as fit into 255 bytes of UTF-8; answers the bytes.</summary>
    public static int Put(string reason, Span<byte> destination)
    {
        destination = destination[..Math.Min(destination.Length, WireLimits.ReasonBytes)];
        Encoding.UTF8.GetEncoder().Convert(reason, destination, flush: true, out _, out int bytes, out _);
        return bytes;
    }

    /// <summary>Reads what a peer wrote: what is no text becomes a question mark, so that it may go into a log.</summary>
    public static string Get(ReadOnlySpan<byte> source)
    {
        char[] text = Encoding.UTF8.GetString(source).ToCharArray();
        for (int at = 0; at < text.Length; at++)
        {
            if (char.IsControl(text[at]) || text[at] == '\uFFFD') { text[at] = '?'; }
        }

        return new string(text);
    }
}
