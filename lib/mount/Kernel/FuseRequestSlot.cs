using KvFs.Core;

namespace KvFs.Mount;

/// <summary>The place of one request while it lives: its buffer, its parts, and who may answer. Used again and
/// again.</summary>
/// <remarks>
/// <para>The turn is odd while a request waits for its answer, even otherwise, and never repeats: a
/// <see cref="FuseRequest"/> carries the turn that it was made for, so an answer that comes twice, or late, never
/// reaches another request.</para>
/// <para>Two hold the slot: the worker while the handler runs, and whoever owes the answer. The last to let go frees
/// it, so the spans that a handler was given stay valid until it returns.</para>
/// <para>Interrupts: a worker publishes the unique number before it looks at the registry's early interrupts; an
/// interrupt is put there before the slots are searched. So at least one of both sees the other. Only waiters take the
/// lock.</para>
/// </remarks>
internal sealed unsafe class FuseRequestSlot(FuseRequestRegistry registry)
{
    private readonly Lock interruptLock = new();
    private FuseParsedRequest parsed;
    private IFuseInterruptTarget? interruptTarget;
    private ulong interruptTargetTurn;
    private ulong unique;
    private ulong interruptedUnique;
    private ulong turn;
    private int holders;
    private int requestBytes;

    /// <summary>Null while the slot is idle and its memory was given back.</summary>
    public NativeBuffer? Buffer { get; set; }

    /// <summary>Where the request came out, and where its answer must go in.</summary>
    public FuseDevice? Device { get; private set; }

    /// <summary>The parts of the request; valid from Begin to the next one.</summary>
    public ref readonly FuseParsedRequest Parsed => ref parsed;

    /// <summary>The number that interrupts name: without the mark of a request sent again. 0: none.</summary>
    public ulong Unique => Volatile.Read(ref unique);

    public byte* Request => Buffer!.Pointer + NativeBuffer.RequestOffset;

    public int ReplyOffset => NativeBuffer.ReplyOffset(requestBytes);

    /// <summary>True if the buffer has room for a reply as large as the request allows.</summary>
    public bool ReplyFits => ReplyOffset + parsed.ReplyCapacity <= Buffer!.Length;

    /// <summary>Parses what was read into the buffer. Called by the worker that owns the slot.</summary>
    public FuseParseOutcome Parse(FuseDevice device, int length, in FuseParserSettings settings)
    {
        Device = device;
        requestBytes = length;

        // Safe: the buffer holds at least length bytes behind Request, and this worker owns it.
        return FuseRequestParser.Parse(new ReadOnlySpan<byte>(Request, length), settings, out parsed);
    }

    /// <summary>The request now waits for an answer, and the worker holds the slot until <see cref="LetGo"/>.</summary>
    public FuseRequest Begin()
    {
        Volatile.Write(ref unique, parsed.Header.Unique & ~FuseRequestParser.UniqueResend);
        holders = 2;
        ulong now = turn + 1;
        Volatile.Write(ref turn, now);
        registry.ClaimEarlyInterrupt(this);
        return new FuseRequest(this, now);
    }

    /// <summary>True while the request of this turn waits for its answer.</summary>
    public bool IsPending(ulong ofTurn) => Volatile.Read(ref turn) == ofTurn;

    /// <summary>Takes the right to answer; only one can.</summary>
    public bool TryClaim(ulong ofTurn) =>
        Interlocked.CompareExchange(ref turn, ofTurn + 1, ofTurn) == ofTurn;

    /// <summary>The handler runs once more, for the one who owes the answer: until <see cref="LetGoAfterAnswer"/>.</summary>
    public void Hold() => Interlocked.Increment(ref holders);

    /// <summary>One of the two holders lets go.</summary>
    /// <returns>True for the last: it owns the slot now.</returns>
    public bool LetGo()
    {
        if (Interlocked.Decrement(ref holders) != 0) { return false; }
        Volatile.Write(ref unique, 0);
        if (interruptTarget is not null)
        {
            lock (interruptLock) { interruptTarget = null; }
        }

        return true;
    }

    /// <summary>The answer is out, or the handler has run once more: as <see cref="LetGo"/>, and an owned slot goes back to the registry.</summary>
    public void LetGoAfterAnswer()
    {
        if (LetGo()) { registry.Return(this); }
    }

    /// <summary>The kernel did not take the reply.</summary>
    /// <returns>False: nobody got it.</returns>
    public bool OnReplyFailed(int error)
    {
        if (error is Errno.ENOENT or Errno.ENODEV or Errno.ECONNABORTED) { return false; }
        registry.Faults.Report(
            FuseFaultKind.ReplyRefused,
            parsed.Header,
            error,
            $"The kernel refused the reply to {parsed.Header.Opcode} with {Errno.Name(error)}; it gets EIO.");
        FuseOutHeader head = new()
        {
            Len = (uint)sizeof(FuseOutHeader),
            Error = -Errno.EIO,
            Unique = parsed.Header.Unique,
        };

        // Safe: the head is on this stack frame. ENOENT here means that the kernel has given up the request by itself.
        Device!.Write((byte*)&head, sizeof(FuseOutHeader));
        return false;
    }

    public bool IsInterrupted(ulong ofTurn) =>
        IsPending(ofTurn) && Volatile.Read(ref interruptedUnique) == Volatile.Read(ref unique);

    /// <returns>False if the interrupt has come already.</returns>
    public bool TryOnInterrupt(ulong ofTurn, IFuseInterruptTarget target)
    {
        lock (interruptLock)
        {
            Invariant.Check(IsPending(ofTurn));
            if (interruptedUnique == unique) { return false; }
            interruptTarget = target;
            interruptTargetTurn = ofTurn;
            return true;
        }
    }

    /// <summary>Delivers an interrupt, if the slot holds that request.</summary>
    public bool TryInterrupt(ulong wanted)
    {
        IFuseInterruptTarget? target;
        FuseRequest request;
        lock (interruptLock)
        {
            ulong now = Volatile.Read(ref turn);
            if (Volatile.Read(ref unique) != wanted) { return false; }
            Volatile.Write(ref interruptedUnique, wanted);
            target = interruptTargetTurn == now ? interruptTarget : null;
            interruptTarget = null;
            request = new FuseRequest(this, now);
        }

        target?.Interrupted(request);
        return true;
    }
}
