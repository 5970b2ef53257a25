using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>A data folder of its own for one test, on the real disk, with a real RocksDB.</summary>
internal sealed class DataFolder : IDisposable
{
    internal static readonly DriveId Drive = new((UInt128)1 << 64);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-node-");

    internal DataFolder() => Open();

    internal LinuxDisk Disk { get; private set; } = null!;

    internal JournaledKeyValueStore KeyValues { get; private set; } = null!;

    internal BlockStore Blocks { get; private set; } = null!;

    internal string PathOf(string name) => $"{folder.FullName}/{name}";

    internal string DrivePath(string file) => PathOf($"drives/{Drive}/{file}");

    internal void Open()
    {
        Disk = new LinuxDisk(folder.FullName);
        KeyValues = JournaledKeyValueStore.Open(PathOf("db"));
        Blocks = BlockStore.Open(Disk, KeyValues, new DiskId(7));
    }

    internal void Close()
    {
        Blocks.Dispose();
        KeyValues.Dispose();
    }

    /// <summary>Closes the store in order, changes files behind its back, and opens it again.</summary>
    internal void Reopen(Action? meanwhile = null)
    {
        Close();
        meanwhile?.Invoke();
        Open();
    }

    internal static BlockName Block(ulong id) => new(Drive, new BlockId(id));

    internal static byte[] Content(int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    internal void CreateDrive()
    {
        StorageResult made = Blocks.CreateDrive(Drive);
        Assert.True(made.IsOk, made.Message);
    }

    internal DriveReport Verify() => Blocks.VerifyDrive(Drive, readBytes: true, null, CancellationToken.None)!;

    public void Dispose()
    {
        Close();
        folder.Delete(recursive: true);
    }
}
