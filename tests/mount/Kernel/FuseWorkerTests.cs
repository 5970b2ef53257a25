using System.Runtime.InteropServices;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseWorkerTests(ITestOutputHelper output)
{
    [Fact]
    public void An_unknown_operation_is_not_implemented()
    {
        using FakeKernel kernel = new(new KeepingFileSystem());
        (FuseOutHeader header, byte[] body) = kernel.Call(new RequestBytes((FuseOpcode)999) { Unique = 77 }.Build());
        Assert.Equal((77UL, -Errno.ENOSYS), (header.Unique, header.Error));
        Assert.Empty(body);
        Assert.Empty(kernel.Faults);
    }

    [Fact]
    public void A_malformed_request_is_refused_and_reported()
    {
        using FakeKernel kernel = new(new KeepingFileSystem());
        (FuseOutHeader header, _) = kernel.Call(new RequestBytes(FuseOpcode.Getattr).Data([1, 2, 3]).Build());
        Assert.Equal(-Errno.EINVAL, header.Error);
        (header, _) = kernel.Call(new RequestBytes(FuseOpcode.Lookup).Name(new string('n', 300)).Build());
        Assert.Equal(-Errno.ENAMETOOLONG, header.Error);

        // A name that is too long is the program's fault, not the kernel's.
        FuseFault fault = Assert.Single(kernel.Faults);
        Assert.Equal((FuseFaultKind.MalformedRequest, FuseOpcode.Getattr), (fault.Kind, fault.Opcode));
    }

    [Fact]
    public void Bytes_that_are_no_request_and_bad_forgets_are_reported_but_not_answered()
    {
        using FakeKernel kernel = new(new KeepingFileSystem());
        kernel.Send([1, 2, 3]);
        kernel.Send(new RequestBytes(FuseOpcode.Forget).Data([1]).Build());
        kernel.Send(new RequestBytes(FuseOpcode.BatchForget).Add(new FuseBatchForgetIn { Count = 9 }).Build());
        (FuseOutHeader header, _) = kernel.Call(new RequestBytes(FuseOpcode.Getattr) { Unique = 8 }
            .Add(default(FuseGetattrIn)).Build());
        Assert.Equal((8UL, 0), (header.Unique, header.Error));
        Assert.Equal(3, kernel.Faults.Count);
    }

    [Fact]
    public void A_second_answer_is_a_bug_that_reaches_no_other_request()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Statfs(2));
        FuseRequest first = files.NextKept();
        Assert.True(first.ReplyError(Errno.EIO));
        Assert.Equal(2UL, kernel.Receive().Header.Unique);
        Assert.Throws<InvariantException>(() => first.ReplyError(Errno.EIO));
        Assert.Throws<InvariantException>(() => first.Opcode);

        // The next request has the first one's place, yet the old value does not reach it.
        kernel.Send(Statfs(4));
        FuseRequest second = files.NextKept();
        Assert.Throws<InvariantException>(() => first.ReplyOk());
        Assert.False(first.TryReply(0));
        Assert.NotEqual(first, second);
        Assert.True(second.ReplyStatfs(default));
        (FuseOutHeader header, byte[] body) = kernel.Receive();
        Assert.Equal((4UL, 0, Marshal.SizeOf<FuseStatfsOut>()), (header.Unique, header.Error, body.Length));
    }

    [Fact]
    public void A_reply_that_does_not_fit_the_operation_is_a_bug_and_leaves_the_request_open()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Statfs(2));
        FuseRequest request = files.NextKept();
        Assert.Throws<InvariantException>(() => request.ReplyAttr(default));
        Assert.Throws<InvariantException>(() => request.ReplyBytes("x"u8));
        Assert.Throws<InvariantException>(() => request.ReplyError(-Errno.EIO));
        Assert.Throws<InvariantException>(() => request.ReplyError(0));
        Assert.True(request.ReplyError(Errno.EACCES));
        Assert.Equal(-Errno.EACCES, kernel.Receive().Header.Error);
    }

    [Fact]
    public void An_interrupt_reaches_the_request_that_waits()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Lock(10));
        FuseRequest request = files.NextKept();
        Target target = new();
        Assert.True(request.TryOnInterrupt(target));
        Assert.False(request.IsInterrupted);
        kernel.Send(Interrupt(10));
        Assert.Equal((10UL, -Errno.EINTR), (kernel.Receive().Header.Unique, target.Error));
        Assert.False(request.TryReply(0));
        Assert.Empty(kernel.Faults);
    }

    [Fact]
    public void An_interrupt_that_overtakes_its_request_is_remembered()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Interrupt(10));
        kernel.Send(Lock(8));
        kernel.Send(Lock(10));
        FuseRequest other = files.NextKept();
        Assert.False(other.IsInterrupted);
        Assert.True(other.TryOnInterrupt(new Target()));
        FuseRequest request = files.NextKept();
        Assert.True(request.IsInterrupted);
        Assert.False(request.TryOnInterrupt(new Target()));
        request.ReplyError(Errno.EINTR);
        Assert.Equal(10UL, kernel.Receive().Header.Unique);
        other.ReplyOk();
        Assert.Equal(8UL, kernel.Receive().Header.Unique);
    }

    [Fact]
    public void A_request_that_is_sent_again_is_answered_under_its_marked_number_and_can_be_interrupted()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Lock(10 | FuseRequestParser.UniqueResend));
        FuseRequest request = files.NextKept();
        Assert.True(request.IsResent);
        Target target = new();
        Assert.True(request.TryOnInterrupt(target));
        kernel.Send(Interrupt(10));
        Assert.Equal(10 | FuseRequestParser.UniqueResend, kernel.Receive().Header.Unique);
        Assert.Equal(-Errno.EINTR, target.Error);
    }

    [Fact]
    public void A_request_keeps_its_bytes_until_it_is_answered()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        FuseRequest[] kept = new FuseRequest[40];
        for (int i = 0; i < kept.Length; i++)
        {
            kernel.Send(Write((ulong)(2 * i) + 2, (byte)i));
            kept[i] = files.NextKept();
        }

        for (int i = kept.Length - 1; i >= 0; i--)
        {
            Assert.Equal(1000, kept[i].PayloadMemory.Length);
            Assert.Equal(-1, kept[i].Payload.IndexOfAnyExcept((byte)i));
            Assert.Equal((ulong)i, kept[i].Body<FuseWriteIn>().Offset);
            Assert.True(kept[i].ReplyWritten(1000));
            (FuseOutHeader header, byte[] body) = kernel.Receive();
            Assert.Equal(((ulong)(2 * i) + 2, 1000U), (header.Unique, MemoryMarshal.Read<uint>(body)));
        }
    }

    [Fact]
    public void Data_is_answered_from_the_requests_own_room_and_from_elsewhere()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Read(2, FakeKernel.MaxData));
        FuseRequest request = files.NextKept();
        Assert.Equal(FakeKernel.MaxData, request.ReplyRoom.Length);
        Assert.Equal(FakeKernel.MaxData, request.ReplyMemory.Length);
        request.ReplyRoom.Fill(7);
        Assert.Throws<InvariantException>(() => request.ReplyFilled(FakeKernel.MaxData + 1));
        Assert.True(request.ReplyFilled(FakeKernel.MaxData));
        byte[] body = kernel.Receive().Body;
        Assert.Equal((FakeKernel.MaxData, -1), (body.Length, body.AsSpan().IndexOfAnyExcept((byte)7)));

        kernel.Send(Read(4, 10));
        request = files.NextKept();
        Assert.Throws<InvariantException>(() => request.ReplyBytes(new byte[11]));
        Assert.True(request.ReplyBytes("elsewhere"u8));
        Assert.Equal("elsewhere"u8, kernel.Receive().Body);

        kernel.Send(Read(6, 10));
        Assert.True(files.NextKept().ReplyBytes([]));
        Assert.Empty(kernel.Receive().Body);
    }

    [Fact]
    public void Every_request_of_a_fuzzed_stream_is_answered_once_and_the_worker_lives()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"KVFS_SEED={seed}");
        Random random = new(seed);
        byte[][] valid = [.. ValidRequests.All()];
        using FakeKernel kernel = new(new AnsweringFileSystem());
        for (int i = 0; i < 5000; i++)
        {
            byte[] request = [.. valid[random.Next(valid.Length)]];
            for (int mutation = random.Next(4); mutation > 0; mutation--)
            {
                // Length, opcode and number stay: they decide whether there is an answer to wait for.
                if (request.Length > 16) { request[random.Next(16, request.Length)] = (byte)random.Next(256); }
            }

            FuseOpcode opcode = (FuseOpcode)MemoryMarshal.Read<uint>(request.AsSpan(4));
            kernel.Send(request);
            if (opcode is FuseOpcode.Forget or FuseOpcode.BatchForget or FuseOpcode.Interrupt) { continue; }
            (FuseOutHeader header, _) = kernel.Receive();
            Assert.Equal(MemoryMarshal.Read<ulong>(request.AsSpan(8)), header.Unique);
            Assert.InRange(header.Error, -Errno.Largest, 0);
        }

        Assert.All(kernel.Faults, fault => Assert.Equal(FuseFaultKind.MalformedRequest, fault.Kind));
    }

    [Fact]
    public async Task A_device_that_fails_for_good_ends_the_worker_with_a_report()
    {
        using FakeKernel kernel = new(new KeepingFileSystem());
        FuseEnd end = await kernel.HangUp();
        Assert.Equal(FuseEndReason.Failed, end.Reason);
        Assert.NotEmpty(kernel.Faults);
        Assert.All(kernel.Faults, fault => Assert.Equal(FuseFaultKind.DeviceFailed, fault.Kind));
    }

    [Fact]
    public async Task An_answer_after_the_end_goes_nowhere_and_says_so()
    {
        KeepingFileSystem files = new();
        using FakeKernel kernel = new(files);
        kernel.Send(Statfs(2));
        FuseRequest request = files.NextKept();
        await kernel.HangUp();
        kernel.Device.Dispose();
        Assert.False(request.ReplyOk());
    }

    private static byte[] Statfs(ulong unique) => new RequestBytes(FuseOpcode.Statfs) { Unique = unique }.Build();

    private static byte[] Lock(ulong unique) =>
        new RequestBytes(FuseOpcode.Setlkw) { Unique = unique }.Add(default(FuseLkIn)).Build();

    private static byte[] Read(ulong unique, uint size) =>
        new RequestBytes(FuseOpcode.Read) { Unique = unique }.Add(new FuseReadIn { Size = size }).Build();

    private static byte[] Write(ulong unique, byte value) => new RequestBytes(FuseOpcode.Write) { Unique = unique }
        .Add(new FuseWriteIn { Size = 1000, Offset = value })
        .Data([.. Enumerable.Repeat(value, 1000)]).Build();

    private static byte[] Interrupt(ulong unique) =>
        new RequestBytes(FuseOpcode.Interrupt) { Unique = unique | 1, NodeId = 0 }
            .Add(new FuseInterruptIn { Unique = unique }).Build();

    private sealed class Target : IFuseInterruptTarget
    {
        public int Error { get; private set; }

        public void Interrupted(FuseRequest request)
        {
            Error = -Errno.EINTR;
            Assert.True(request.TryReply(Errno.EINTR));
        }
    }
}
