using System.Diagnostics;
using System.Globalization;
using KvFs.Core;
using KvFs.Mount;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Integration.Tests.Mount;

/// <summary>What the whole of KvFs allocates for a request: node, client and mount are in this process, the program that asks is
/// another one.</summary>
public sealed class AllocationTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Requests = 20_000;
    private const int Rounds = 4;

    /// <summary>Asks for as many of one kind as a line of its input says; all of them reach the mount.</summary>
    private const string Asking = """
        import mmap, os, sys
        plain, direct = os.open('f', os.O_RDONLY), os.open('f', os.O_RDWR | os.O_DIRECT)
        page, pages = mmap.mmap(-1, 4096), os.fstat(plain).st_size // 4096
        kinds = {
            'getattr': lambda i: os.fstat(plain),
            'read': lambda i: os.preadv(direct, [page], i * 7919 % pages * 4096),
            'write': lambda i: os.pwritev(direct, [page], i % 256 * 4096),
            'store': lambda i: os.pwritev(direct, [page], i * 7919 % pages * 4096),
        }
        for line in sys.stdin:
            kind, count = line.split()
            ask = kinds[kind]
            for i in range(int(count)): ask(i)
            if kind == 'store': os.fsync(direct)
            print('done', flush=True)
        """;

    private MountedDrive drive = null!;
    private DriveMount mount = null!;

    public async Task InitializeAsync()
    {
        drive = await MountedDrive.StartAsync();
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(new("hot", DriveKind.FileSystem, 0, 0), default)).Status);

        // The kernel keeps no attributes: every fstat asks for them.
        mount = await drive.MountAsync("hot", new() { AttributeTimeout = TimeSpan.Zero });
        await MountedDrive.RunAsync(mount.Path, "put('f', os.urandom(80 << 20)); os.sync()");
        await mount.FlushAsync();
    }

    public async Task DisposeAsync() => await drive.DisposeAsync();

    /// <remarks>
    /// Measured: getattr 0.03 to 0.8, read 0.04 to 0.8 bytes a request, which is the runtime's own; the smallest object is 24. Where a round
    /// takes ten seconds, because others want the processors, what goes on by the clock makes it 1.3 to 2.8.
    /// A write of what is still in memory: 0.02 to 0.8; a round that takes longer than written data may wait has a flush of its 256 pages in it.
    /// Stored, each write alone, far from in order: 1,500 to 2,700 bytes. No request allocates that, but what follows of many: a batch of
    /// 4 MiB has its arrays of pieces and files, and then the client's map of a cluster, and the node's fold of it, are lists of some ten
    /// thousand runs, made anew.
    /// </remarks>
    [Theory]
    [InlineData("getattr", 8)]
    [InlineData("read", 8)]
    [InlineData("write", 8)]
    [InlineData("store", 4096)]
    public async Task A_request_of_the_hot_paths_allocates_next_to_nothing_from_the_kernel_to_the_store(string kind, int most)
    {
        using Process program = Process.Start(new ProcessStartInfo("python3", ["-c", Asking])
        {
            WorkingDirectory = mount.Path, RedirectStandardInput = true, RedirectStandardOutput = true,
        })!;
        try
        {
            Ask(program, kind);

            // The count is the whole process's: the quietest of some rounds tells what the requests themselves allocate.
            long least = long.MaxValue;
            for (int round = 0; round < Rounds; round++)
            {
                long before = GC.GetTotalAllocatedBytes(precise: true);
                Ask(program, kind);
                long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
                output.WriteLine($"{kind}: {(double)allocated / Requests:F2} bytes a request");
                least = Math.Min(least, allocated);
            }

            Assert.InRange(least, 0, (long)most * Requests);
            program.StandardInput.Close();
            await program.WaitForExitAsync();
            Assert.Equal(0, program.ExitCode);
        }
        finally
        {
            if (!program.HasExited) { program.Kill(); }
        }
    }

    private static void Ask(Process program, string kind)
    {
        program.StandardInput.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kind} {Requests}"));
        program.StandardInput.Flush();
        Assert.Equal("done", program.StandardOutput.ReadLine());
    }
}
