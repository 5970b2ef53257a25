using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>Builds the bytes of requests as the kernel does.</summary>
internal sealed class RequestBytes(FuseOpcode opcode)
{
    private readonly List<byte> body = [];
    private byte[] extensions = [];

    public ulong Unique { get; init; } = 2;

    public ulong NodeId { get; init; } = 1;

    public RequestBytes Add<T>(T part)
        where T : unmanaged
    {
        body.AddRange(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in part)).ToArray());
        return this;
    }

    public RequestBytes Name(string name)
    {
        body.AddRange(Encoding.UTF8.GetBytes(name));
        body.Add(0);
        return this;
    }

    public RequestBytes Data(byte[] data)
    {
        body.AddRange(data);
        return this;
    }

    /// <summary>The extension with supplementary groups, padded to 8 bytes.</summary>
    public RequestBytes Groups(params uint[] groups)
    {
        int size = (Unsafe.SizeOf<FuseExtHeader>() + sizeof(uint) + (groups.Length * sizeof(uint)) + 7) / 8 * 8;
        extensions = new byte[size];
        MemoryMarshal.Write(extensions, new FuseExtHeader { Size = (uint)size, Type = 32 });
        MemoryMarshal.Write(extensions.AsSpan(8), (uint)groups.Length);
        MemoryMarshal.AsBytes(groups.AsSpan()).CopyTo(extensions.AsSpan(12));
        return this;
    }

    public byte[] Build()
    {
        FuseInHeader header = new()
        {
            Len = (uint)(Unsafe.SizeOf<FuseInHeader>() + body.Count + extensions.Length),
            Opcode = opcode,
            Unique = Unique,
            Nodeid = NodeId,
            Uid = 1000,
            Gid = 1001,
            Pid = 42,
            TotalExtlen = (ushort)(extensions.Length / 8),
        };
        return [.. MemoryMarshal.AsBytes(new ReadOnlySpan<FuseInHeader>(in header)), .. body, .. extensions];
    }
}
