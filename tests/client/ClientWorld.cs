using System.Text;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

/// <summary>A client on a drive in memory, and what most tests do with it.</summary>
public sealed class ClientWorld : IAsyncDisposable
{
    /// <summary>No threads: what happens, happens in the calls of the test.</summary>
    public static readonly ClientOptions Still = new()
    {
        FlushThreads = 0,
        ReadAheadThreads = 0,
        DirtyBytes = 16 << 20,
        ReadAheadBytes = 8 << 20,
    };

    private readonly bool usesRealTime;

    /// <param name="options">The client's options; none: <see cref="Still"/>.</param>
    /// <param name="quotaBytes">The drive's quota; 0: none.</param>
    /// <param name="usesRealTime">The client's timer fires by itself.</param>
    public ClientWorld(ClientOptions? options = null, ulong quotaBytes = 0, bool usesRealTime = false)
    {
        this.usesRealTime = usesRealTime;
        Options = options ?? Still;
        Drive = new(quotaBytes);
        Session = new(Drive, Blocks, Time);
        Client = new(Session, Options, Clock);
    }

    public ClientOptions Options { get; }

    public ManualTime Time { get; } = new();

    public MemoryBlocks Blocks { get; } = new();

    public MemoryDrive Drive { get; }

    public MemorySession Session { get; private set; }

    public DriveClient Client { get; private set; }

    public static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Compares large contents; Assert.Equal looks at every byte by itself.</summary>
    public static void CheckSame(byte[] expected, byte[] actual) => Assert.True(
        expected.AsSpan().SequenceEqual(actual),
        $"{actual.Length} bytes differ from {expected.Length} at {expected.AsSpan().CommonPrefixLength(actual)}.");

    public async Task<OpenFile> Create(string name, ushort mode = 0x1A4)
    {
        Reply<CreatedFile> reply = await CreateReply(name, mode);
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.File;
    }

    public async Task<OpenFile> Open(VNodeId id, CowNumber? at = null)
    {
        Reply<OpenFile> reply = await Client.OpenAsync(id, at ?? CowNumber.Head);
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value;
    }

    public async Task Write(OpenFile file, ulong offset, byte[] data)
    {
        Reply<int> reply = await Client.WriteAsync(file, offset, data, default);
        Assert.Equal(Status.Ok, reply.Status);
        Assert.Equal(data.Length, reply.Value);
    }

    public async Task<byte[]> Read(OpenFile file, ulong offset, int length)
    {
        byte[] buffer = new byte[length];
        Array.Fill(buffer, (byte)0xEE);
        Reply<int> reply = await Client.ReadAsync(file, offset, buffer);
        Assert.Equal(Status.Ok, reply.Status);
        return buffer[..reply.Value];
    }

    public async Task<VNode> Stat(VNodeId id)
    {
        Reply<NodeInfo> reply = await Client.GetAsync(id, CowNumber.Head);
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.VNode;
    }

    public async Task<Reply<NodeInfo>> Lookup(string name) =>
        await Client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);

    public async Task<UnlinkResult> Unlink(string name)
    {
        ValueTask<Reply<UnlinkResult>> unlinked = Client.UnlinkAsync(
            new UnlinkRequest { Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name) });
        Reply<UnlinkResult> reply = await unlinked;
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value;
    }

    public async Task Rename(string from, string to)
    {
        ValueTask<Reply<UnlinkResult>> renamed = Client.RenameAsync(new RenameRequest
        {
            OldParent = VNodeId.Root,
            OldName = Encoding.UTF8.GetBytes(from),
            NewParent = VNodeId.Root,
            NewName = Encoding.UTF8.GetBytes(to),
        });
        Assert.Equal(Status.Ok, (await renamed).Status);
    }

    public async Task<VNode> Truncate(VNodeId id, ulong size)
    {
        Reply<NodeInfo> reply = await Client.SetAttributesAsync(
            new SetAttributesRequest { Node = id, Mask = AttributeMask.Size, Size = size });
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.VNode;
    }

    /// <summary>Waits as long as dirty data may, and ticks.</summary>
    public async Task Age()
    {
        Time.Advance(Options.DirtyAge + TimeSpan.FromSeconds(1));
        await Client.TickAsync();
    }

    /// <summary>Power goes; the drive is mounted anew, by a new client.</summary>
    public void Crash(int kept)
    {
        Drive.Crash(kept);
        Session = new(Drive, Blocks, Time);
        Client = new(Session, Options, Clock);
    }

    /// <summary>Nothing is dirty, nothing has leaked, no thread has failed.</summary>
    public async Task CheckClean()
    {
        Assert.Equal(Status.Ok, await Client.SyncAllAsync());
        Assert.Equal(0, Client.DirtyMemory.RentedBuffers);
        Assert.False(Client.Completion.IsCompleted);
    }

    public async ValueTask DisposeAsync() => await Client.DisposeAsync();

    private TimeProvider Clock => usesRealTime ? TimeProvider.System : Time;

    private ValueTask<Reply<CreatedFile>> CreateReply(string name, ushort mode) => Client.CreateOpenAsync(
        new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = mode,
        });
}
