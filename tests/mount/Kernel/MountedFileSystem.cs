using System.Collections.Concurrent;
using System.Diagnostics;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>Tests that mount run one after the other, and not beside others: some count allocations.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class KernelCollection
{
    public const string Name = "kernel";
}

/// <summary>The file system in memory, mounted in a new directory; unmounted and removed at the end.</summary>
internal sealed class MountedFileSystem : IDisposable
{
    /// <summary>After this a test hangs, and fails.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ConcurrentQueue<FuseFault> faults = new();

    public MountedFileSystem(MemoryFileSystem? files = null, Func<FuseMountOptions, FuseMountOptions>? change = null)
    {
        Files = files ?? new MemoryFileSystem();
        Root = NewDirectory();
        FuseMountOptions options = Options with { OnFault = faults.Enqueue };
        Connection = FuseMount.Mount(Root, Files, change is null ? options : change(options));
    }

    /// <summary>What any user may ask for.</summary>
    public static FuseMountOptions Options { get; } = new() { AllowOther = false };

    public MemoryFileSystem Files { get; }

    public FuseConnection Connection { get; }

    public string Root { get; }

    public IReadOnlyCollection<FuseFault> Faults => faults;

    public string this[string name] => Path.Combine(Root, name);

    public Task<FuseEnd> Ended => Connection.Ended.WaitAsync(Patience);

    public static string NewDirectory() => Directory.CreateTempSubdirectory("kvfs-mount-test-").FullName;

    /// <summary>Runs a program to its end.</summary>
    public static async Task<int> Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync().WaitAsync(Patience);
        return process.ExitCode;
    }

    public void Dispose()
    {
        Connection.Dispose();
        Directory.Delete(Root);
    }
}
