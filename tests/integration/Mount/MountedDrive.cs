using System.Collections.Concurrent;
using System.Diagnostics;
using KvFs.Core;
using KvFs.Mount;
using KvFs.Node;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Integration.Tests.Mount;

/// <summary>A real node with one drive, mounted through the real /dev/fuse, for the tests of one class or one test.</summary>
public sealed class MountedDrive : IAsyncLifetime, IAsyncDisposable
{
    public const string DriveName = "drive";

    /// <summary>What every program starts with: the modules, and a check of errno.</summary>
    private const string Prelude = """
        import ctypes, errno, fcntl, mmap, os, signal, stat, struct, subprocess, sys, threading, time
        libc = ctypes.CDLL(None, use_errno=True)
        def fails(code, call, *args, **named):
            try:
                call(*args, **named)
            except OSError as e:
                assert e.errno == code, f'{errno.errorcode[e.errno]} instead of {errno.errorcode[code]}'
                return
            raise AssertionError(f'no {errno.errorcode[code]}')
        def put(path, data):
            with open(path, 'wb') as f: f.write(data)
        def get(path):
            with open(path, 'rb') as f: return f.read()
        def pause():
            print('pause', flush=True)
            assert sys.stdin.readline()

        """;

    /// <summary>A program that takes longer hangs.</summary>
    private static readonly TimeSpan s_programTimeout = TimeSpan.FromMinutes(2);

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-mount-").FullName;
    private readonly ConcurrentQueue<FuseFault> faults = new();
    private readonly List<DriveMount> mounts = [];
    private StorageNode? node;
    private int made;

    public StorageNode Node => node!;

    public IDriveAdmin Admin => Node.Admin;

    public DriveMount Mount => mounts[0];

    public string DataPath => Path.Combine(folder, "data");

    public IReadOnlyCollection<FuseFault> Faults => faults;

    /// <summary>Opens the node and mounts a new drive.</summary>
    public static async Task<MountedDrive> StartAsync()
    {
        MountedDrive drive = new();
        await drive.InitializeAsync();
        return drive;
    }

    public async Task InitializeAsync()
    {
        node = StorageNode.Open(new() { DataPath = DataPath }, NullLoggerFactory.Instance);
        DriveSpec spec = new(DriveName, DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await Admin.CreateDriveAsync(spec, default)).Status);
        await MountAsync(DriveName, new());
    }

    /// <summary>Mounts a drive of the node at a new path.</summary>
    public async Task<DriveMount> MountAsync(string name, DriveMountOptions options, bool shared = false)
    {
        SessionAccess access = SessionAccesses.Of(options.ReadOnly, shared);
        Reply<IDriveSession> session = await Admin.OpenSessionAsync(name, access, default);
        Assert.Equal(Status.Ok, session.Status);
        DriveMount mount = DriveMount.Start(
            session.Value, NewMountpoint(), options with { FsName = name, OnFault = faults.Enqueue });
        mounts.Add(mount);
        return mount;
    }

    /// <summary>An empty directory beside the drive.</summary>
    public string NewMountpoint() =>
        Directory.CreateDirectory(Path.Combine(folder, $"mount-{Interlocked.Increment(ref made)}")).FullName;

    /// <summary>A new directory in the drive, so that tests do not see each other's files.</summary>
    public string NewFolder() =>
        Directory.CreateDirectory(Path.Combine(Mount.Path, $"test-{Interlocked.Increment(ref made)}")).FullName;

    /// <summary>Runs a program in a new directory of the drive; it must end well.</summary>
    /// <returns>What it printed.</returns>
    public Task<string> RunAsync(string program, params Func<Task>[] paused) => RunAsync(NewFolder(), program, paused);

    /// <summary>Runs a Python program in a folder; it must end well.</summary>
    /// <param name="workingFolder">The folder.</param>
    /// <param name="program">The program.</param>
    /// <param name="paused">What is done while it waits in its calls of <c>pause()</c>, one after the other.</param>
    /// <returns>What it printed behind the last one.</returns>
    public static async Task<string> RunAsync(string workingFolder, string program, params Func<Task>[] paused)
    {
        ProcessStartInfo start = new("python3", ["-c", Prelude + program])
        {
            WorkingDirectory = workingFolder,
            RedirectStandardInput = paused.Length > 0,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        using CancellationTokenSource timeout = new(s_programTimeout);
        Task<string> errors = process.StandardError.ReadToEndAsync(timeout.Token);
        try
        {
            int pauses = 0;
            foreach (Func<Task> meanwhile in paused)
            {
                if (await process.StandardOutput.ReadLineAsync(timeout.Token) != "pause") { break; }
                pauses++;
                await meanwhile();
                await process.StandardInput.WriteLineAsync("go on");
                await process.StandardInput.FlushAsync(timeout.Token);
            }

            Task<string> output = process.StandardOutput.ReadToEndAsync(timeout.Token);
            await process.WaitForExitAsync(timeout.Token);
            Assert.True(process.ExitCode == 0, await errors);
            Assert.Equal(paused.Length, pauses);
            return await output;
        }
        finally
        {
            if (!process.HasExited) { process.Kill(entireProcessTree: true); }
        }
    }

    /// <summary>Opens what the death of the process at this moment would leave of the node: a copy of its folder.
    /// </summary>
    public async Task<MountedDrive> OpenCrashImageAsync()
    {
        MountedDrive image = new();
        await RunAsync(folder, $"subprocess.check_call(['cp', '-r', '{DataPath}', '{image.DataPath}'])");
        image.node = StorageNode.Open(new() { DataPath = image.DataPath }, NullLoggerFactory.Instance);
        await image.MountAsync(DriveName, new());
        return image;
    }

    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        foreach (DriveMount mount in mounts) { await mount.DisposeAsync(); }
        if (node is not null) { await node.DisposeAsync(); }
        Directory.Delete(folder, recursive: true);
        Assert.Empty(faults);
    }
}
