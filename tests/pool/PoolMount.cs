using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using KvFs.Authority.Tests.Support;

namespace KvFs.Pool.Tests;

/// <summary>A mount of a drive of a pool: <c>kvfs up --server</c>, a process of its own, which can be killed.</summary>
/// <remarks>No file of the mount may be open in a process that kills it: it would wait for itself for ever. Programs that hold some are
/// others (<see cref="MountProgram"/>).</remarks>
internal sealed class PoolMount : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-mount-").FullName;
    private readonly ConcurrentQueue<string> log = new();
    private readonly Process process;

    private PoolMount(PoolProcesses pool, string drive, bool isShared, ImmutableArray<string> inside, string[] more)
    {
        string[] command =
        [
            .. inside, PoolProcesses.Program, "up", .. pool.ClientArguments, "--drive", drive, "--mount", Path,
            "--data", Data, "--metrics", "off", "--log-level", "warning",
            .. isShared ? (string[])["--shared"] : [], .. more,
        ];
        process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, line) => log.Enqueue(line.Data ?? string.Empty);
        process.BeginErrorReadLine();
    }

    /// <summary>Where the drive appears.</summary>
    public string Path => System.IO.Path.Combine(folder, "mount");

    private string Data => System.IO.Path.Combine(folder, "data");

    private bool IsMounted => File.ReadLines("/proc/self/mounts").Any(line => line.Split(' ') is [_, string point, ..] && point == Path);

    /// <summary>What the process said.</summary>
    public string Log => string.Join('\n', log);

    public bool Runs => !process.HasExited;

    /// <summary>Mounts a drive, which is made if there is none.</summary>
    /// <param name="pool">The pool that has it.</param>
    /// <param name="drive">Its name.</param>
    /// <param name="isShared">Others may have it at the same time.</param>
    /// <param name="inside">What comes before the command, to run it in another network.</param>
    /// <param name="more">Options that it has beside those.</param>
    public static async Task<PoolMount> StartAsync(
        PoolProcesses pool, string drive, bool isShared, ImmutableArray<string>? inside = null, params string[] more)
    {
        PoolMount mount = new(pool, drive, isShared, inside ?? [], more);
        try
        {
            string? said = await mount.process.StandardOutput.ReadLineAsync();
            Assert.True(said == string.Create(CultureInfo.InvariantCulture, $"kvfs is up (pid {mount.process.Id})."), $"{said}\n{mount.Log}");
            return mount;
        }
        catch
        {
            await mount.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops it where it stands: whoever uses the mount waits. Not for one in another network.</summary>
    public Task FreezeAsync() => Signals.FreezeAsync(process);

    /// <summary>Lets it go on.</summary>
    public Task ThawAsync() => Signals.ThawAsync(process);

    /// <summary>Unmounts it, as a person does; what that says of lost data is not of interest.</summary>
    public async Task UnmountAsync()
    {
        using Process unmount = Process.Start(
            new ProcessStartInfo(PoolProcesses.Program, ["umount", Path, "--data", Data]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        string said = await unmount.StandardError.ReadToEndAsync();
        await unmount.WaitForExitAsync();
        Assert.True(!IsMounted, said);
    }

    /// <summary>kill -9. What uses the mount is told that nobody is there any more.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        process.Dispose();
        if (IsMounted)
        {
            using Process unmount = Process.Start("fusermount3", ["-u", "-z", Path]);
            await unmount.WaitForExitAsync();
        }

        Directory.Delete(folder, recursive: true);
    }
}
