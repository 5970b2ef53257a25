using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Bench.Rows;

/// <summary>Small files as the rows make and check them.</summary>
internal static class BenchFiles
{
    /// <summary>Of a small read or write, and of a small file.</summary>
    public const int SmallBytes = 4096;

    private const ushort FileMode = 0x1A4;
    private const ushort DirectoryMode = 0x1ED;

    public static byte[] Name(string kind, long number) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{kind}-{number:d7}"));

    /// <summary>Bytes that say which file they are of, and that no compression makes less.</summary>
    public static byte[] Content(long number, int bytes = SmallBytes)
    {
        byte[] content = new byte[bytes];
        new Random(unchecked((int)number)).NextBytes(content);
        BinaryPrimitives.WriteInt64LittleEndian(content, number);
        return content;
    }

    /// <exception cref="BenchException">They are another file's.</exception>
    public static void Check(ReadOnlySpan<byte> content, long number)
    {
        if (BinaryPrimitives.ReadInt64LittleEndian(content) == number) { return; }
        throw new BenchException(BenchException.Failed, $"File {number} has the bytes of another one.");
    }

    public static CreateOperation CreateOperation(NodeReference parent, byte[] name) =>
        new(parent, name, VNodeKind.File) { Mode = FileMode };

    public static ValueTask<Reply<NodeInfo>> CreateAsync(IDriveSession session, VNodeId parent, byte[] name) =>
        session.CreateAsync(new() { Parent = parent, Name = name, Kind = VNodeKind.File, Mode = FileMode });

    public static async Task<VNodeId> MakeDirectoryAsync(IDriveSession session, VNodeId parent, byte[] name)
    {
        ValueTask<Reply<NodeInfo>> asked = session.CreateAsync(
            new() { Parent = parent, Name = name, Kind = VNodeKind.Directory, Mode = DirectoryMode });
        Reply<NodeInfo> reply = await asked;
        BenchException.Check(reply.Status, "making a directory");
        return reply.Value.Id;
    }

    public static async Task<OpenFile> CreateAsync(DriveClient client, VNodeId parent, byte[] name)
    {
        ValueTask<Reply<CreatedFile>> asked = client.CreateOpenAsync(
            new() { Parent = parent, Name = name, Kind = VNodeKind.File, Mode = FileMode });
        Reply<CreatedFile> reply = await asked;
        BenchException.Check(reply.Status, "making a file");
        return reply.Value.File;
    }

    public static async Task WriteAsync(DriveClient client, OpenFile file, ulong offset, ReadOnlyMemory<byte> data)
    {
        Reply<int> reply = await client.WriteAsync(file, offset, data, default);
        BenchException.Check(reply.Status, "writing");
        if (reply.Value != data.Length) { throw new BenchException(BenchException.Failed, "There is no space left on the drive."); }
    }
}
