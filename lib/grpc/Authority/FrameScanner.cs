using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvFs.Grpc.Authority;

/// <summary>Finds the header blocks in what a peer sends over one HTTP/2 connection, and has them repaired in place.</summary>
/// <remarks>Not thread safe. It judges nothing: from the first byte that it does not understand on, everything passes as it
/// is, and the server says what is wrong. Source: RFC 9113, sections 3.4, 4.1, 6.2 and 6.10.</remarks>
internal sealed class FrameScanner
{
    /// <summary>Bytes of frames that one header block may fill: twice the headers that Kestrel takes.</summary>
    public const int MaxBlockBytes = 64 << 10;

    private const int FrameHeaderBytes = 9;
    private const byte HeadersType = 1;
    private const byte ContinuationType = 9;
    private const byte EndHeaders = 0x4;
    private const byte Padded = 0x8;
    private const byte Priority = 0x20;
    private const int PriorityBytes = 5;

    private static readonly byte[] Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    private readonly HeaderBlock headerBlock = new();
    private readonly List<(long Offset, int Length)> fragments = [];
    private bool seenPreface;
    private bool blind;
    private long skip;

    /// <summary>Looks at bytes that follow on those that the last call let pass.</summary>
    /// <returns>How many of them may pass now. The rest is the start of a header block, of a frame or of the preface.</returns>
    public long Scan(in ReadOnlySequence<byte> input)
    {
        long passed = 0;
        while (!blind)
        {
            long skipped = Math.Min(skip, input.Length - passed);
            skip -= skipped;
            passed += skipped;
            ReadOnlySequence<byte> rest = input.Slice(passed);
            long frame = seenPreface ? ScanFrame(rest) : ScanPreface(rest);
            if (frame == 0 && !blind) { return passed; }
            passed += frame;
        }
        return input.Length;
    }

    private long ScanPreface(in ReadOnlySequence<byte> rest)
    {
        Span<byte> start = stackalloc byte[Preface.Length];
        int length = (int)Math.Min(rest.Length, Preface.Length);
        rest.Slice(0, length).CopyTo(start);
        if (!start[..length].SequenceEqual(Preface.AsSpan(0, length)))
        {
            blind = true;
            return 0;
        }
        seenPreface = length == Preface.Length;
        return seenPreface ? length : 0;
    }

    /// <summary>Bytes of one frame that may pass now (the rest of it is skipped later), or of a header block with all its
    /// frames; 0 if there is too little yet.</summary>
    private long ScanFrame(in ReadOnlySequence<byte> rest)
    {
        if (!TryFrameHeader(rest, 0, out FrameHeader header)) { return 0; }
        if (header.Type != HeadersType)
        {
            skip = header.Length;
            return FrameHeaderBytes;
        }
        return ScanBlock(rest, header);
    }

    private long ScanBlock(in ReadOnlySequence<byte> rest, FrameHeader header)
    {
        fragments.Clear();
        long at = 0;
        int total = 0;
        int stream = header.Stream;
        while (true)
        {
            if (at + FrameHeaderBytes + header.Length > MaxBlockBytes)
            {
                blind = true;
                return 0;
            }
            long end = at + FrameHeaderBytes + header.Length;
            if (rest.Length < end) { return 0; }
            if (!TryFragment(rest, at, header, out (long Offset, int Length) fragment))
            {
                blind = true;
                return 0;
            }
            fragments.Add(fragment);
            total += fragment.Length;
            at = end;
            if ((header.Flags & EndHeaders) != 0) { break; }
            if (!TryFrameHeader(rest, at, out header)) { return 0; }
            if (header.Type != ContinuationType || header.Stream != stream)
            {
                blind = true;
                return 0;
            }
        }
        RepairFragments(rest, total);
        return at;
    }

    private void RepairFragments(in ReadOnlySequence<byte> rest, int total)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(total);
        Span<byte> block = rented.AsSpan(0, total);
        int at = 0;
        foreach ((long offset, int length) in fragments)
        {
            rest.Slice(offset, length).CopyTo(block[at..]);
            at += length;
        }
        bool? changed = headerBlock.Repair(block);
        if (changed == true)
        {
            at = 0;
            foreach ((long offset, int length) in fragments)
            {
                Overwrite(rest.Slice(offset, length), block.Slice(at, length));
                at += length;
            }
        }
        ArrayPool<byte>.Shared.Return(rented);
        blind |= changed is null;
    }

    /// <summary>Changes bytes that were received.</summary>
    /// <remarks>The memory is the transport's, which wrote it and is done with it; it belongs to the one reader until that
    /// reader advances over it, and this is the one reader.</remarks>
    private static void Overwrite(in ReadOnlySequence<byte> target, ReadOnlySpan<byte> source)
    {
        foreach (ReadOnlyMemory<byte> part in target)
        {
            source[..part.Length].CopyTo(MemoryMarshal.AsMemory(part).Span);
            source = source[part.Length..];
        }
    }

    /// <summary>Where in a frame its piece of the header block is. False if padding and priority leave no room.</summary>
    private static bool TryFragment(
        in ReadOnlySequence<byte> rest, long at, FrameHeader header, out (long Offset, int Length) fragment)
    {
        int before = 0;
        int padding = 0;
        if (header.Type == HeadersType && (header.Flags & Padded) != 0)
        {
            before++;
            if (header.Length > 0) { padding = rest.Slice(at + FrameHeaderBytes, 1).FirstSpan[0]; }
        }
        if (header.Type == HeadersType && (header.Flags & Priority) != 0) { before += PriorityBytes; }
        int length = header.Length - before - padding;
        fragment = (at + FrameHeaderBytes + before, Math.Max(length, 0));
        return length >= 0;
    }

    private static bool TryFrameHeader(in ReadOnlySequence<byte> rest, long at, out FrameHeader header)
    {
        header = default;
        if (rest.Length - at < FrameHeaderBytes) { return false; }
        Span<byte> bytes = stackalloc byte[FrameHeaderBytes];
        rest.Slice(at, FrameHeaderBytes).CopyTo(bytes);
        int length = (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
        header = new FrameHeader(length, bytes[3], bytes[4], BinaryPrimitives.ReadInt32BigEndian(bytes[5..]) & int.MaxValue);
        return true;
    }

    private readonly record struct FrameHeader(int Length, byte Type, byte Flags, int Stream);
}
