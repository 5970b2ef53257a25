using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>The other end of a descriptor that behaves as the device: one message per read, one per write. It sends
/// what a real kernel never would, to a real worker.</summary>
internal sealed class FakeKernel : IDisposable
{
    private const int SequencedPackets = 5;
    private const int LargestMessage = 256 << 10;
    private readonly ConcurrentQueue<FuseFault> faults = new();
    private readonly Task<FuseEnd> worker;
    private readonly FuseRequestRegistry registry;
    private int descriptor;

    public FakeKernel(IFuseHandler handler)
    {
        (Device, descriptor) = Pair();
        registry = new FuseRequestRegistry(MaxData, new FuseFaultLog(faults.Enqueue));
        FuseParserSettings settings = new(MaxData, SetxattrExt: true);
        worker = Task.Factory.StartNew(
            () => new FuseWorker(Device, handler, registry, new(workers: 1, TimeProvider.System), polls: false, settings).Run(),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    public const int MaxData = 64 << 10;

    public FuseDevice Device { get; }

    public IReadOnlyCollection<FuseFault> Faults => faults;

    /// <summary>A device, and the kernel's end of it.</summary>
    public static unsafe (FuseDevice Device, int Descriptor) Pair()
    {
        int* pair = stackalloc int[2];
        Assert.Equal(0, NativeFile.SocketPair(LibC.AF_UNIX, SequencedPackets, 0, pair));
        return (new FuseDevice(new FuseDeviceHandle(pair[0])), pair[1]);
    }

    public void Send(byte[] request) => Send(descriptor, request);

    public (FuseOutHeader Header, byte[] Body) Receive() => Receive(descriptor);

    public (FuseOutHeader Header, byte[] Body) Call(byte[] request)
    {
        Send(request);
        return Receive();
    }

    public static unsafe void Send(int descriptor, byte[] request)
    {
        fixed (byte* bytes = request)
        {
            Assert.Equal(request.Length, NativeFile.Write(descriptor, bytes, (nuint)request.Length));
        }
    }

    public static unsafe (FuseOutHeader Header, byte[] Body) Receive(int descriptor)
    {
        byte[] message = new byte[LargestMessage];
        fixed (byte* bytes = message)
        {
            int length = (int)NativeFile.Read(descriptor, bytes, LargestMessage);
            FuseOutHeader header = MemoryMarshal.Read<FuseOutHeader>(message);
            Assert.Equal((uint)length, header.Len);
            return (header, message[Unsafe.SizeOf<FuseOutHeader>()..length]);
        }
    }

    /// <summary>The kernel vanishes.</summary>
    public async Task<FuseEnd> HangUp()
    {
        Assert.Equal(0, NativeFile.Close(descriptor));
        descriptor = -1;
        return await worker.WaitAsync(MountedFileSystem.Patience);
    }

    public void Dispose()
    {
        if (descriptor >= 0) { _ = NativeFile.Close(descriptor); }
        Assert.True(((IAsyncResult)worker).AsyncWaitHandle.WaitOne(MountedFileSystem.Patience));
        Device.Dispose();
        registry.Dispose();
    }
}
