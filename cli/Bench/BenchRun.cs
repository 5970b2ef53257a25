using System.Globalization;
using KvFs.Cli.Control;
using KvFs.Cli.Native;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Cli.Bench;

/// <summary>Measures one directory, in a folder of its own that is gone afterwards.</summary>
/// <remarks>Everything is done by one thread, so figures are latencies turned into rates. Before a read the kernel is asked to
/// forget the file's pages; what the file system itself, or the disk, remembers stays.</remarks>
internal sealed class BenchRun(string directory, BenchPlan plan, IProgress<ProgressReport> progress, CancellationToken cancel)
{
    private const int Steps = 9;

    /// <summary>Two runs, and two systems, shall meet the same offsets.</summary>
    private const int Seed = 20;

    /// <summary>Operations between two looks at the clock and the progress.</summary>
    private const int CheckEvery = 16;

    private readonly TimeProvider clock = TimeProvider.System;
    private readonly string folder = Path.Combine(directory, $".kvfs-bench-{Guid.NewGuid():N}");
    private readonly byte[] block = Noise(BenchPlan.BlockBytes);
    private readonly List<(string Step, string Unit, double Value)> figures = [];

    private string LargeFile => Path.Combine(folder, "large");

    /// <summary>All figures, in a fixed order.</summary>
    public IReadOnlyList<(string Step, string Unit, double Value)> Measure()
    {
        Directory.CreateDirectory(folder);
        try
        {
            Megabytes("sequential write + fsync", WriteLargeFile);
            Megabytes("sequential read", ReadLargeFile);
            Rate("random read, 4 KiB", () => Random(FileAccess.Read, ReadAt));
            Rate("random write, 4 KiB, fsync each", () => Random(FileAccess.Write, WriteAt));
            Rate("create files of 4 KiB", () => EachFile(Create));
            Rate("stat", () => EachFile(at => _ = new FileInfo(Small(at)).Length));
            Rate("open + read files of 4 KiB", () => EachFile(at => File.ReadAllBytes(Small(at))));
            Rate("rename", () => EachFile(at => File.Move(Small(at), Small(at) + "r")));
            Rate("unlink", () => EachFile(at => File.Delete(Small(at) + "r")));
            return figures;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private void Megabytes(string step, Action<Action<long, long>> work) => Time(step, "MB/s", report =>
    {
        work(report);
        return plan.FileBytes / 1e6;
    });

    private void Rate(string step, Func<Func<Action<long, long>, long>> work) =>
        Time(step, "1/s", report => work()(report));

    private void Time(string step, string unit, Func<Action<long, long>, double> work)
    {
        cancel.ThrowIfCancellationRequested();
        string activity = string.Create(CultureInfo.InvariantCulture, $"{directory}: {step} ({figures.Count + 1}/{Steps})");
        progress.Report(new ProgressReport(activity, 0, 1));
        long start = clock.GetTimestamp();
        double amount = work((done, total) => progress.Report(new ProgressReport(activity, done, total)));
        figures.Add((step, unit, amount / Math.Max(clock.GetElapsedTime(start).TotalSeconds, 1e-9)));
    }

    private void WriteLargeFile(Action<long, long> report)
    {
        using SafeFileHandle file = File.OpenHandle(LargeFile, FileMode.CreateNew, FileAccess.Write);
        for (long offset = 0; offset < plan.FileBytes; offset += block.Length)
        {
            cancel.ThrowIfCancellationRequested();
            RandomAccess.Write(file, block, offset);
            report(offset, plan.FileBytes);
        }
        RandomAccess.FlushToDisk(file);
    }

    private void ReadLargeFile(Action<long, long> report)
    {
        using SafeFileHandle file = File.OpenHandle(LargeFile, options: FileOptions.SequentialScan);
        Forget(file);
        for (long offset = 0; offset < plan.FileBytes; offset += block.Length)
        {
            cancel.ThrowIfCancellationRequested();
            ReadFully(file, block, offset);
            report(offset, plan.FileBytes);
        }
    }

    private Func<Action<long, long>, long> Random(FileAccess access, Action<SafeFileHandle, long> operation) => report =>
    {
        // House: the offsets need no secrecy, only to be the same each time.
        Random offsets = new(Seed);
        using SafeFileHandle file = File.OpenHandle(LargeFile, access: access, options: FileOptions.RandomAccess);
        Forget(file);
        long places = plan.FileBytes / BenchPlan.SmallBytes;
        long start = clock.GetTimestamp();
        int done = 0;
        while (done < BenchPlan.RandomOperations)
        {
            operation(file, offsets.NextInt64(places) * BenchPlan.SmallBytes);
            if (++done % CheckEvery != 0) { continue; }
            cancel.ThrowIfCancellationRequested();
            report(done, BenchPlan.RandomOperations);
            if (clock.GetElapsedTime(start) > BenchPlan.StepTime) { break; }
        }
        return done;
    };

    private void ReadAt(SafeFileHandle file, long offset) => ReadFully(file, block.AsSpan(0, BenchPlan.SmallBytes), offset);

    private void WriteAt(SafeFileHandle file, long offset)
    {
        RandomAccess.Write(file, block.AsSpan(0, BenchPlan.SmallBytes), offset);
        RandomAccess.FlushToDisk(file);
    }

    private Func<Action<long, long>, long> EachFile(Action<int> operation) => report =>
    {
        for (int at = 0; at < plan.Files; at++)
        {
            operation(at);
            if (at % CheckEvery != 0) { continue; }
            cancel.ThrowIfCancellationRequested();
            report(at, plan.Files);
        }
        return plan.Files;
    };

    private void Create(int at)
    {
        using SafeFileHandle file = File.OpenHandle(Small(at), FileMode.CreateNew, FileAccess.Write);
        RandomAccess.Write(file, block.AsSpan(0, BenchPlan.SmallBytes), 0);
    }

    private string Small(int at) => Path.Combine(folder, at.ToString("x8", CultureInfo.InvariantCulture));

    private static void ReadFully(SafeFileHandle file, Span<byte> destination, long offset)
    {
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(file, destination, offset);
            if (read == 0) { throw new IOException("The file of the benchmark became shorter."); }
            destination = destination[read..];
            offset += read;
        }
    }

    /// <summary>Advice only: where the kernel ignores it, the figure is that of a warm cache.</summary>
    private static void Forget(SafeFileHandle file) => _ = Posix.posix_fadvise(file, 0, 0, Posix.AdviceDontNeed);

    /// <summary>Bytes that do not compress.</summary>
    private static byte[] Noise(int length)
    {
        byte[] noise = new byte[length];
        new Random(Seed).NextBytes(noise);
        return noise;
    }
}
