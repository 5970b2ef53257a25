using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Reads requests from one descriptor and hands them to the handler, until the mount ends.</summary>
/// <remarks>One thread. Nothing that a request or a handler does ends it: faults are answered and reported.</remarks>
internal sealed unsafe class FuseWorker(
    FuseDevice device,
    IFuseHandler handler,
    FuseRequestRegistry registry,
    FuseReaders readers,
    bool polls,
    FuseParserSettings settings)
{
    /// <summary>Bytes of a WRITE from which on copying them takes as long as waking another worker.</summary>
    private const int LongWriteBytes = 128 << 10;

    /// <summary>Bytes of a READ or WRITE up to which copying them takes less than waking another processor.</summary>
    private const int ShortDataBytes = 32 << 10;

    /// <summary>Reads that may fail in a row, for reasons that this code does not know, before the mount is given up: a
    /// passing fault is ridden out, a lasting one does not spin.</summary>
    private const int ToleratedReadFailures = 16;

    [ThreadStatic]
    private static bool isWorkerThread;

    private int readFailures;
    private bool readAborted;

    /// <summary>True on a thread that serves requests: it must not wait for the kernel.</summary>
    public static bool IsWorkerThread => isWorkerThread;

    /// <summary>Serves until the mount ends.</summary>
    public FuseEnd Run()
    {
        isWorkerThread = true;
        ThreadUsage? usage = null;
        FuseRequestSlot? slot = null;
        try
        {
            usage = polls ? ThreadUsage.Open() : null;
            FusePolling? polling = usage is null ? null : new(TimeProvider.System, usage.WaitedNs);
            FuseFollowing? following =
                usage is null ? null : new(new ThreadProcessors(), TimeProvider.System, usage.WaitedNs);
            while (true)
            {
                slot ??= registry.Take();
                long began = readers.BeforeRead();
                int length = Read(slot, following is { IsBeside: true } ? null : polling);
                readers.AfterRead(began);
                if (length > 0)
                {
                    readFailures = 0;
                    if (following is not null) { Follow(following, slot, length); }
                    if (!Serve(slot, length)) { slot = null; }
                }
                else if (EndOf(-length) is { } end)
                {
                    return end;
                }
            }
        }
        finally
        {
            readers.End();
            usage?.Dispose();
            if (slot is not null) { registry.Return(slot); }
            isWorkerThread = false;
        }
    }

    /// <summary>The next request: polled for, where that pays, then waited for.</summary>
    private int Read(FuseRequestSlot slot, FusePolling? polling)
    {
        int capacity = slot.Buffer!.RequestCapacity;
        if (polling is null || !polling.ShouldPoll()) { return device.ReadWaiting(slot.Request, capacity); }
        long began = polling.Begin();
        int length;
        do
        {
            length = device.Poll(slot.Request, capacity);
        }
        while (length == -Errno.EAGAIN && !polling.IsOver(began));

        polling.OnPolled(length != -Errno.EAGAIN);
        return length == -Errno.EAGAIN ? device.ReadWaiting(slot.Request, capacity) : length;
    }

    /// <summary>A request came, not parsed yet: what does it say of the program that is served?</summary>
    private static void Follow(FuseFollowing following, FuseRequestSlot slot, int length)
    {
        // Safe: the buffer is longer than any header, and what it has of an earlier request only steers where threads run.
        FuseInHeader header = Unsafe.ReadUnaligned<FuseInHeader>(slot.Request);
        bool isWaitedFor = header.Opcode is not (FuseOpcode.Release or FuseOpcode.Releasedir or FuseOpcode.Forget
            or FuseOpcode.BatchForget or FuseOpcode.Interrupt);
        if (!isWaitedFor) { return; }
        bool isShort = length <= ShortDataBytes
            && (header.Opcode != FuseOpcode.Read || Body<FuseReadIn>(slot).Size <= ShortDataBytes);
        following.OnRequest(header.Pid, isShort);
    }

    /// <summary>What a failed read means; null: go on.</summary>
    private FuseEnd? EndOf(int error)
    {
        switch (error)
        {
            // A signal; nothing there after all; a request that was interrupted before it was read.
            case Errno.EINTR or Errno.EAGAIN or Errno.ENOENT:
                return null;
            case Errno.ENODEV:
                return new FuseEnd(FuseEndReason.Unmounted, error);
            case Errno.ECONNABORTED:
                // Also says once, when a plain unmount overtakes a request that was just being read: look again.
                bool again = !readAborted;
                readAborted = true;
                return again ? null : new FuseEnd(FuseEndReason.Aborted, error);
            default:
                readFailures++;
                registry.Faults.Report(
                    FuseFaultKind.DeviceFailed,
                    default,
                    error,
                    $"Reading {FuseDevice.Path} failed with {Errno.Name(error)} ({readFailures} times in a row).");
                return readFailures < ToleratedReadFailures ? null : new FuseEnd(FuseEndReason.Failed, error);
        }
    }

    /// <returns>False if somebody else still holds the slot.</returns>
    private bool Serve(FuseRequestSlot slot, int length)
    {
        FuseParseOutcome outcome = slot.Parse(device, length, settings);
        FuseOpcode opcode = slot.Parsed.Header.Opcode;
        if (outcome == FuseParseOutcome.Unanswerable)
        {
            registry.Faults.Report(
                FuseFaultKind.MalformedRequest,
                slot.Parsed.Header,
                Errno.EIO,
                $"A request of {length} bytes is no request.");
            return true;
        }

        int error = outcome == FuseParseOutcome.Refused ? slot.Parsed.ErrorNumber : slot.ReplyFits ? 0 : Errno.EINVAL;

        // Programs may ask for names that are too long, and for places beyond every end.
        if (error is not (0 or Errno.ENOSYS or Errno.ENAMETOOLONG or Errno.ENXIO)) { ReportRefused(slot, error); }
        if (opcode is FuseOpcode.Forget or FuseOpcode.BatchForget or FuseOpcode.Interrupt)
        {
            if (error == 0) { ServeUnanswered(slot, length); }
            return true;
        }

        FuseRequest request = slot.Begin();
        if (error != 0) { request.ReplyError(error); }
        else
        {
            if (MayWait(slot, opcode, length)) { readers.BeforeWait(); }
            Call(slot, request);
        }

        return slot.LetGo();
    }

    /// <summary>Whether an operation may wait for a disk, or takes long in other ways. What does so only now and then is not
    /// here: then the worker that watches helps.</summary>
    private static bool MayWait(FuseRequestSlot slot, FuseOpcode opcode, int length) => opcode switch
    {
        FuseOpcode.Write => length >= LongWriteBytes || (Body<FuseWriteIn>(slot).Flags & OpenFlags.DataSync) != 0,
        FuseOpcode.Setattr => (Body<FuseSetattrIn>(slot).Valid & FuseSetattrValid.Size) != 0,
        FuseOpcode.Setxattr or FuseOpcode.Removexattr or FuseOpcode.Link => true,
        FuseOpcode.Read or FuseOpcode.Fsync or FuseOpcode.Fsyncdir or FuseOpcode.Syncfs or FuseOpcode.Fallocate
            or FuseOpcode.Lseek or FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64 or FuseOpcode.Setlkw => true,
        _ => false,
    };

    /// <summary>The body of a request.</summary>
    private static T Body<T>(FuseRequestSlot slot)
        where T : unmanaged =>
        Unsafe.ReadUnaligned<T>(slot.Request + FuseParsedRequest.BodyOffset);

    private void ReportRefused(FuseRequestSlot slot, int error) => registry.Faults.Report(
        FuseFaultKind.MalformedRequest,
        slot.Parsed.Header,
        error,
        $"A malformed {slot.Parsed.Header.Opcode} was refused with {Errno.Name(error)}.");

    private void Call(FuseRequestSlot slot, FuseRequest request)
    {
        try
        {
            FuseDispatch.Run(handler, request, settings);
        }
        catch (Exception e)
        {
            // Reported before it is answered: who sees the error finds its reason in the log.
            bool owesAnswer = request.IsUnanswered;
            string outcome = owesAnswer ? "and EIO is answered" : "after it was answered";
            registry.Faults.Report(
                FuseFaultKind.HandlerThrew,
                slot.Parsed.Header,
                owesAnswer ? Errno.EIO : 0,
                $"The handler of {slot.Parsed.Header.Opcode} threw, {outcome}.",
                e);
            request.TryReply(Errno.EIO);
        }
    }

    /// <summary>FORGET, BATCH_FORGET and INTERRUPT. The slot stays ours.</summary>
    private void ServeUnanswered(FuseRequestSlot slot, int length)
    {
        try
        {
            // Safe: the parser checked the request, and this worker owns the buffer.
            ReadOnlySpan<byte> request = new(slot.Request, length);
            if (slot.Parsed.Header.Opcode == FuseOpcode.Interrupt)
            {
                registry.Interrupt(
                    MemoryMarshal.Read<FuseInterruptIn>(request[FuseParsedRequest.BodyOffset..]).Unique);
                return;
            }

            FuseDispatch.RunForget(handler, slot.Parsed, request);
        }
        catch (Exception e)
        {
            registry.Faults.Report(
                FuseFaultKind.HandlerThrew,
                slot.Parsed.Header,
                0,
                $"The handler of {slot.Parsed.Header.Opcode} threw.",
                e);
        }
    }
}
