using Google.Protobuf;
using Google.Protobuf.Reflection;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>Debian's grpcio with nothing of ours but the protos, against a node of a pool as it is run.</summary>
public sealed class ForeignClientTests : IDisposable
{
    private readonly string descriptors = Path.GetTempFileName();

    public void Dispose() => File.Delete(descriptors);

    [Fact]
    public async Task A_client_in_another_language_calls_every_method_that_there_is_for_clients()
    {
        FileDescriptorSet files = new();
        foreach (FileDescriptor file in (FileDescriptor[])[V1.AdminReflection.Descriptor, V1.BlockReflection.Descriptor, V1.DriveReflection.Descriptor, V1.PoolReflection.Descriptor])
        {
            Add(files, file);
        }

        await File.WriteAllBytesAsync(descriptors, files.ToByteArray());
        await using PoolProcesses pool = await PoolProcesses.StartAsync(1);
        using MountProgram client = MountProgram.Start(
            "/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "Foreign", "foreign_client.py"), pool.AddressOf(1), descriptors);
        await client.EndAsync();
        Assert.True(client.Lines is ["done"], $"{client}\n{pool.Log}");
    }

    /// <summary>Those that a file imports come before it, each once.</summary>
    private static void Add(FileDescriptorSet files, FileDescriptor file)
    {
        foreach (FileDescriptor imported in file.Dependencies) { Add(files, imported); }
        if (files.File.All(known => known.Name != file.Name)) { files.File.Add(FileDescriptorProto.Parser.ParseFrom(file.SerializedData)); }
    }
}
