using System.Runtime.InteropServices;

namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseHandshakeTests
{
    [Fact]
    public void A_kernel_before_7_31_is_refused_with_the_version_that_is_needed()
    {
        (FuseDevice device, int kernel) = FakeKernel.Pair();
        FakeKernel.Send(kernel, Init(new FuseInitIn { Major = 7, Minor = 30 }));
        FuseMountException failure = Assert.Throws<FuseMountException>(
            () => FuseHandshake.Run(device, new FuseMountOptions()));
        Assert.Equal(FuseMountFailure.KernelTooOld, failure.Reason);
        Assert.Contains("7.30", failure.Message, StringComparison.Ordinal);
        Assert.Contains("7.31", failure.Message, StringComparison.Ordinal);
        Assert.Equal(-Errno.EPROTO, FakeKernel.Receive(kernel).Header.Error);
        Close(device, kernel);
    }

    [Fact]
    public void A_kernel_of_a_later_major_version_is_asked_to_speak_ours()
    {
        (FuseDevice device, int kernel) = FakeKernel.Pair();
        FakeKernel.Send(kernel, Init(new FuseInitIn { Major = 8, Minor = 1 }));
        FakeKernel.Send(kernel, Init(new FuseInitIn { Major = 7, Minor = 50 }));
        FuseNegotiated negotiated = FuseHandshake.Run(device, new FuseMountOptions());
        Assert.Equal(50U, negotiated.KernelMinor);
        Assert.Equal(7U, MemoryMarshal.Read<FuseInitOut>(FakeKernel.Receive(kernel).Body).Major);
        FuseInitOut answer = MemoryMarshal.Read<FuseInitOut>(FakeKernel.Receive(kernel).Body);
        Assert.Equal((7U, 45U, 1U), (answer.Major, answer.Minor, answer.TimeGran));
        Close(device, kernel);
    }

    [Fact]
    public void An_old_kernels_short_INIT_is_understood()
    {
        (FuseDevice device, int kernel) = FakeKernel.Pair();
        byte[] body = new byte[16];
        MemoryMarshal.Write(body, 7U);
        MemoryMarshal.Write(body.AsSpan(4), 31U);
        MemoryMarshal.Write(body.AsSpan(12), uint.MaxValue);
        FakeKernel.Send(kernel, new RequestBytes(FuseOpcode.Init) { NodeId = 0 }.Data(body).Build());
        FuseNegotiated negotiated = FuseHandshake.Run(device, new FuseMountOptions());
        Assert.Equal(31U, negotiated.KernelMinor);

        // Bits 32 and up do not exist there, whatever the bytes behind would say.
        Assert.False(negotiated.Has(FuseInitFlags.CreateSuppGroup));
        Close(device, kernel);
    }

    [Fact]
    public void Something_else_than_INIT_at_first_is_refused()
    {
        (FuseDevice device, int kernel) = FakeKernel.Pair();
        FakeKernel.Send(kernel, new RequestBytes(FuseOpcode.Statfs).Build());
        FuseMountException failure = Assert.Throws<FuseMountException>(
            () => FuseHandshake.Run(device, new FuseMountOptions()));
        Assert.Contains("Statfs", failure.Message, StringComparison.Ordinal);
        Close(device, kernel);
    }

    [Fact]
    public void Only_what_was_offered_and_wanted_is_granted()
    {
        FuseMountOptions options = new()
        {
            Features = new FuseFeatures { PosixAcl = false, DataInvalidation = DataInvalidation.Explicit },
            MaxRequestBytes = 128 << 10,
            MaxReadaheadBytes = 1 << 20,
        };
        FuseInitFlags offer = FuseInitFlags.MaxPages | FuseInitFlags.PosixAcl | FuseInitFlags.ExplicitInvalData
            | FuseInitFlags.AutoInvalData | FuseInitFlags.InitExt | FuseInitFlags.PosixLocks;
        FuseInitIn init = new() { Minor = 45, Flags = (uint)offer, Flags2 = uint.MaxValue, MaxReadahead = 128 << 10 };
        FuseNegotiated negotiated = FuseHandshake.Negotiate(init, options, out FuseInitOut answer);
        FuseInitFlags expected = FuseInitFlags.MaxPages | FuseInitFlags.ExplicitInvalData | FuseInitFlags.InitExt
            | FuseInitFlags.PosixLocks | FuseInitFlags.CreateSuppGroup | FuseInitFlags.HasExpireOnly
            | FuseInitFlags.DirectIoAllowMmap | FuseInitFlags.HasResend;
        Assert.Equal(expected, negotiated.Granted);
        Assert.Equal((ulong)expected, answer.Flags | ((ulong)answer.Flags2 << 32));
        Assert.Equal((128U << 10, (ushort)32, 128U << 10), (answer.MaxWrite, answer.MaxPages, answer.MaxReadahead));
    }

    [Fact]
    public void The_writeback_cache_is_never_asked_for_unless_wanted()
    {
        Assert.Equal(FuseInitFlags.None, new FuseFeatures().ToFlags() & FuseInitFlags.WritebackCache);
        FuseFeatures exclusive = new() { WritebackCache = true };
        Assert.NotEqual(FuseInitFlags.None, exclusive.ToFlags() & FuseInitFlags.WritebackCache);
    }

    private static byte[] Init(FuseInitIn body) => new RequestBytes(FuseOpcode.Init) { NodeId = 0 }.Add(body).Build();

    private static void Close(FuseDevice device, int kernel)
    {
        device.Dispose();
        Assert.Equal(0, NativeFile.Close(kernel));
    }
}
