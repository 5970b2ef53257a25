using System.Runtime.CompilerServices;
using KvFs.Memory;

namespace KvFs.Mount;

/// <summary>The memory of one request and its reply.</summary>
/// <remarks>Layout for one request, so that both the data of a WRITE and the data of a reply start at a page boundary:
/// 0: head and fixed body of a reply; 4,016: the request (header 40, WRITE's body 40), so that its data starts at
/// 4,096; then as many bytes as the largest request; room for a reply's data starts at the first page boundary behind
/// the request that leaves 16 bytes for its header.</remarks>
internal sealed unsafe class NativeBuffer : IDisposable
{
    public const int PageBytes = AlignedMemory.PageBytes;

    /// <summary>Bytes of header and body of WRITE, which precede its data.</summary>
    public const int WriteHeadBytes = 80;

    /// <summary>Where the request starts.</summary>
    public const int RequestOffset = PageBytes - WriteHeadBytes;

    /// <summary>Bytes that a request with a reply of the largest size may have itself (names, xattr names, small ioctl
    /// input); a larger one leaves less room for the reply.</summary>
    private const int RequestPages = 3;

    private readonly AlignedMemory memory;

    public NativeBuffer(int maxDataBytes)
    {
        Length = ((RequestPages * PageBytes) + maxDataBytes + PageBytes - 1) / PageBytes * PageBytes;
        RequestCapacity = Math.Max(WriteHeadBytes + maxDataBytes, MinimumReadBytes);
        memory = new(Length);
    }

    /// <summary>Bytes below which the kernel refuses to hand out any request (FUSE_MIN_READ_BUFFER).</summary>
    private const int MinimumReadBytes = 8192;

    public int Length { get; }

    /// <summary>Bytes that a request may have.</summary>
    public int RequestCapacity { get; }

    /// <summary>The memory; null once disposed. Never moves.</summary>
    public byte* Pointer => memory.Pointer;

    public Memory<byte> Memory => memory.Memory;

    /// <summary>Offset of the room for a reply's data behind a request of this size.</summary>
    public static int ReplyOffset(int requestBytes) =>
        (RequestOffset + requestBytes + Unsafe.SizeOf<FuseOutHeader>() + PageBytes - 1) / PageBytes * PageBytes;

    /// <summary>Frees the memory; no request owns it any more.</summary>
    public void Dispose() => ((IDisposable)memory).Dispose();
}
