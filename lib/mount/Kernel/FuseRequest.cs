using System.Runtime.CompilerServices;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>One request of the kernel, and the duty to answer it exactly once.</summary>
/// <remarks>A small value: copy and keep it as you like, nothing is allocated. After the answer every member fails with
/// an <see cref="InvariantException"/> (also if the place in memory serves another request by then). Spans and memory
/// lent by it end with the answer.</remarks>
public readonly unsafe partial struct FuseRequest : IEquatable<FuseRequest>
{
    private readonly FuseRequestSlot slot;
    private readonly ulong turn;

    internal FuseRequest(FuseRequestSlot slot, ulong turn)
    {
        this.slot = slot;
        this.turn = turn;
    }

    public FuseOpcode Opcode => Parsed.Header.Opcode;

    /// <summary>The kernel's number of the request.</summary>
    public ulong Unique => Parsed.Header.Unique;

    /// <summary>True if the kernel sent this request before, to a worker that died: it may have been done.</summary>
    public bool IsResent => (Unique & FuseRequestParser.UniqueResend) != 0;

    /// <summary>The node that is meant; the parent, where a name is given.</summary>
    public ulong NodeId => Parsed.Header.Nodeid;

    public uint Uid => Parsed.Header.Uid;

    public uint Gid => Parsed.Header.Gid;

    /// <summary>The thread that asks; 0 for the kernel itself, or one that this PID namespace does not see.</summary>
    public uint Pid => Parsed.Header.Pid;

    /// <summary>For creating requests: the caller's supplementary group that is the parent's group, if there is
    /// one.</summary>
    public uint? CreateGroup
    {
        get
        {
            ref readonly FuseParsedRequest parsed = ref Parsed;
            return parsed.HasCreateGroup ? parsed.CreateGroup : null;
        }
    }

    public ReadOnlySpan<byte> Name => Slice(Parsed.NameOffset, Parsed.NameLength);

    /// <summary>The new name of a rename, the target of a symlink.</summary>
    public ReadOnlySpan<byte> SecondName => Slice(Parsed.SecondNameOffset, Parsed.SecondNameLength);

    /// <summary>The data of WRITE, the value of SETXATTR, the input of IOCTL.</summary>
    public ReadOnlySpan<byte> Payload => Slice(Parsed.PayloadOffset, Parsed.PayloadLength);

    /// <summary>As <see cref="Payload"/>, for asynchronous I/O.</summary>
    public ReadOnlyMemory<byte> PayloadMemory
    {
        get
        {
            ref readonly FuseParsedRequest parsed = ref Parsed;
            return slot.Buffer!.Memory.Slice(NativeBuffer.RequestOffset + parsed.PayloadOffset, parsed.PayloadLength);
        }
    }

    /// <summary>Room for the reply's data: as many bytes as the request allows, page aligned, content
    /// undefined.</summary>
    public Span<byte> ReplyRoom
    {
        get
        {
            int capacity = Parsed.ReplyCapacity;

            // Safe: the worker checked that the room lies within the buffer (ReplyFits) before it handed out the
            // request.
            return new Span<byte>(slot.Buffer!.Pointer + slot.ReplyOffset, capacity);
        }
    }

    /// <summary>As <see cref="ReplyRoom"/>, for asynchronous I/O.</summary>
    public Memory<byte> ReplyMemory
    {
        get
        {
            int capacity = Parsed.ReplyCapacity;
            return slot.Buffer!.Memory.Slice(slot.ReplyOffset, capacity);
        }
    }

    /// <summary>True once the kernel said that the program behind the request got a signal.</summary>
    public bool IsInterrupted => slot.IsInterrupted(turn);

    internal bool IsUnanswered => slot.IsPending(turn);

    /// <summary>Keeps its memory while a handler's method runs, beside who owes the answer.</summary>
    internal void Hold() => slot.Hold();

    /// <summary>That method has returned.</summary>
    internal void LetGo() => slot.LetGoAfterAnswer();

    /// <summary>Where it came out.</summary>
    internal FuseDevice? Device => slot.Device;

    /// <summary>The body, for those who answer after the handler's method has returned.</summary>
    /// <typeparam name="T">The type that the handler's method gets.</typeparam>
    public ref readonly T Body<T>()
        where T : unmanaged
    {
        ref readonly FuseParsedRequest parsed = ref Parsed;
        Invariant.Check(FuseParsedRequest.BodyOffset + Unsafe.SizeOf<T>() <= parsed.Header.Len);

        // Safe: the body lies within the request, which lies within the buffer; both start at a multiple of 8.
        return ref Unsafe.AsRef<T>(slot.Request + FuseParsedRequest.BodyOffset);
    }

    /// <summary>Asks to be told of a signal; replaces an earlier target.</summary>
    /// <returns>False if it has come already: the target is not kept, answer EINTR.</returns>
    public bool TryOnInterrupt(IFuseInterruptTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        return slot.TryOnInterrupt(turn, target);
    }

    public bool Equals(FuseRequest other) => slot == other.slot && turn == other.turn;

    public override bool Equals(object? obj) => obj is FuseRequest other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(slot, turn);

    public static bool operator ==(FuseRequest left, FuseRequest right) => left.Equals(right);

    public static bool operator !=(FuseRequest left, FuseRequest right) => !left.Equals(right);

    private ref readonly FuseParsedRequest Parsed
    {
        get
        {
            Invariant.Check(slot.IsPending(turn));
            return ref slot.Parsed;
        }
    }

    // Safe: the parser found every range within the request.
    private ReadOnlySpan<byte> Slice(int offset, int length) => new(slot.Request + offset, length);
}
