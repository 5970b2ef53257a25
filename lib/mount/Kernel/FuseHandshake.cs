using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>INIT: the first request of a mount, in which kernel and server agree on versions, sizes and
/// features.</summary>
internal static unsafe class FuseHandshake
{
    public const uint Major = 7;

    /// <summary>The version that this code speaks.</summary>
    public const uint Minor = 45;

    /// <summary>Kernel 5.4: the first with all that is relied on without a flag.</summary>
    public const uint OldestMinor = 31;

    /// <summary>Reads INIT and answers it.</summary>
    /// <exception cref="FuseMountException">The kernel is too old, or there was no INIT.</exception>
    public static FuseNegotiated Run(FuseDevice device, FuseMountOptions options)
    {
        using NativeBuffer buffer = new(options.MaxRequestBytes);
        while (true)
        {
            byte* start = buffer.Pointer + NativeBuffer.RequestOffset;
            int length = device.Read(start, buffer.RequestCapacity);
            if (length is -Errno.EINTR or -Errno.EAGAIN or -Errno.ENOENT) { continue; }
            if (length <= 0) { throw NoInit($"reading it failed with {Errno.Name(-length)}", -length); }

            // Safe: the kernel wrote length bytes behind start, and the buffer is ours.
            ReadOnlySpan<byte> request = new(start, length);
            FuseParserSettings settings = new(options.MaxRequestBytes, SetxattrExt: false);
            FuseParseOutcome outcome = FuseRequestParser.Parse(request, settings, out FuseParsedRequest parsed);
            if (outcome != FuseParseOutcome.Valid || parsed.Header.Opcode != FuseOpcode.Init)
            {
                throw NoInit($"the first request was {parsed.Header.Opcode}", Errno.EPROTO);
            }

            FuseInitIn offered = ReadBody(request[FuseParsedRequest.BodyOffset..]);
            if (offered.Major > Major)
            {
                // A kernel of a later major version asks again in ours.
                Answer(device, parsed.Header.Unique, 0, new FuseInitOut { Major = Major, Minor = Minor });
                continue;
            }

            if (offered.Major < Major || offered.Minor < OldestMinor)
            {
                Answer(device, parsed.Header.Unique, Errno.EPROTO, default);
                throw new FuseMountException(
                    FuseMountFailure.KernelTooOld,
                    $"This kernel speaks FUSE {offered.Major}.{offered.Minor}; KvFs needs {Major}.{OldestMinor} or "
                    + "later. Run a kernel from 5.4 on.");
            }

            FuseNegotiated negotiated = Negotiate(offered, options, out FuseInitOut answer);
            int error = Answer(device, parsed.Header.Unique, 0, answer);
            return error == 0 ? negotiated : throw NoInit($"the answer failed with {Errno.Name(error)}", error);
        }
    }

    /// <summary>Decides what is in force. Pure.</summary>
    public static FuseNegotiated Negotiate(in FuseInitIn offer, FuseMountOptions options, out FuseInitOut answer)
    {
        FuseInitFlags offered = (FuseInitFlags)offer.Flags;
        if ((offered & FuseInitFlags.InitExt) != 0) { offered |= (FuseInitFlags)((ulong)offer.Flags2 << 32); }
        FuseInitFlags granted = offered & options.Features.ToFlags();

        // Before MAX_PAGES a request has 32 pages at most; the kernel offers it since 7.28, so that always holds.
        int maxBytes = (granted & FuseInitFlags.MaxPages) != 0
            ? options.MaxRequestBytes
            : Math.Min(options.MaxRequestBytes, 32 * Environment.SystemPageSize);
        FuseNegotiated negotiated = new()
        {
            KernelMinor = offer.Minor,
            Offered = offered,
            Granted = granted,
            MaxRequestBytes = maxBytes,
            MaxReadaheadBytes = Math.Min(offer.MaxReadahead, options.MaxReadaheadBytes),
            MaxBackground = options.MaxBackground,
            CongestionThreshold = options.CongestionThreshold,
        };
        answer = new FuseInitOut
        {
            Major = Major,
            Minor = Minor,
            MaxReadahead = negotiated.MaxReadaheadBytes,
            Flags = (uint)granted,
            Flags2 = (uint)((ulong)granted >> 32),
            MaxBackground = negotiated.MaxBackground,
            CongestionThreshold = negotiated.CongestionThreshold,
            MaxWrite = (uint)maxBytes,
            TimeGran = 1,
            MaxPages = (ushort)Math.Max(1, maxBytes / Environment.SystemPageSize),
        };
        return negotiated;
    }

    /// <summary>The body, with zeros for what an older kernel does not send.</summary>
    private static FuseInitIn ReadBody(ReadOnlySpan<byte> body)
    {
        FuseInitIn init = default;
        Span<byte> target = MemoryMarshal.AsBytes(new Span<FuseInitIn>(ref init));
        body[..Math.Min(body.Length, target.Length)].CopyTo(target);
        return init;
    }

    private static int Answer(FuseDevice device, ulong unique, int errno, in FuseInitOut body)
    {
        int bodyBytes = errno == 0 ? Unsafe.SizeOf<FuseInitOut>() : 0;
        byte* message = stackalloc byte[Unsafe.SizeOf<FuseOutHeader>() + Unsafe.SizeOf<FuseInitOut>()];
        int length = Unsafe.SizeOf<FuseOutHeader>() + bodyBytes;
        Unsafe.WriteUnaligned(message, new FuseOutHeader { Len = (uint)length, Error = -errno, Unique = unique });
        Unsafe.WriteUnaligned(message + Unsafe.SizeOf<FuseOutHeader>(), body);

        // Safe: the message is on this stack frame.
        return device.Write(message, length);
    }

    private static FuseMountException NoInit(string why, int error) =>
        new(FuseMountFailure.Other, $"The kernel did not start the FUSE protocol: {why}.", error);
}
