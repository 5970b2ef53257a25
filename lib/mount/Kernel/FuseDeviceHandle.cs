using Microsoft.Win32.SafeHandles;

namespace KvFs.Mount;

/// <summary>A descriptor of /dev/fuse. Closing waits for calls under way, so its number is never used by
/// accident.</summary>
internal sealed class FuseDeviceHandle : SafeHandleMinusOneIsInvalid
{
    public FuseDeviceHandle()
        : base(ownsHandle: true)
    {
    }

    public FuseDeviceHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0;
}
