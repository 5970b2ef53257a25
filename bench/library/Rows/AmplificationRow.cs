using System.Text.Json.Nodes;
using KvFs.Client;
using KvFs.Core;

namespace KvFs.Bench.Rows;

/// <summary>Bytes that all nodes write to their disks, and that nodes and client send to each other, for each byte that a program
/// wrote. Each part begins when the nodes have been quiet for a while, and ends when they are again.</summary>
internal static class AmplificationRow
{
    private const int Writers = 16;
    private const int WritesOfEach = 640;
    private const int SmallFiles = 10_000;
    private const int LargeBytes = 256 << 20;
    private const int PieceBytes = 1 << 20;

    public static async Task RunAsync(BenchRun run)
    {
        if (!run.Meter.Counts) { throw new BenchException(BenchException.Usage, "Write amplification is that of processes: name them with --pids."); }
        await MeasureAsync(run, "4 KiB writes, an fsync each", WriteDurablyAsync);
        await MeasureAsync(run, "files of 4 KiB, no fsync", WriteFilesAsync);
        await MeasureAsync(run, "sequential write, one fsync", WriteLargeAsync);
    }

    private static async Task MeasureAsync(BenchRun run, string what, Func<DriveClient, Task<long>> write)
    {
        Results.Say($"amplification: {what}");
        string drive = (await run.Pool.MakeDrivesAsync("amplification", 1, run.Cancel))[0];
        await using DriveClient client = new(await run.Pool.OpenBufferedAsync(drive, run.Cancel), new(), TimeProvider.System);
        await run.Meter.SettleAsync();
        Usage before = await run.Meter.ReadAsync();
        long written = await write(client);
        await run.Meter.SettleAsync();
        Usage used = (await run.Meter.ReadAsync()) - before;
        run.Results.Add("amplification", new JsonObject
        {
            ["what"] = what,
            ["writtenBytes"] = written,
            ["allDiskBytes"] = used.DiskBytes,
            ["allNetworkBytes"] = used.NetworkBytes,
            ["disk"] = Math.Round((double)used.DiskBytes / written, 2),
            ["network"] = used.NetworkBytes is { } sent ? Math.Round((double)sent / written, 2) : null,
        });
    }

    private static async Task<long> WriteDurablyAsync(DriveClient client)
    {
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            OpenFile file = await BenchFiles.CreateAsync(client, VNodeId.Root, BenchFiles.Name("file", writer));
            Random random = new(writer);
            byte[] content = BenchFiles.Content(writer);
            for (int number = 0; number < WritesOfEach; number++)
            {
                await BenchFiles.WriteAsync(client, file, (ulong)random.Next(WritesOfEach) * BenchFiles.SmallBytes, content);
                BenchException.Check(await client.FsyncAsync(file), "fsync");
            }

            BenchException.Check(await client.CloseAsync(file), "close");
        })));
        return (long)Writers * WritesOfEach * BenchFiles.SmallBytes;
    }

    private static async Task<long> WriteFilesAsync(DriveClient client)
    {
        for (int number = 0; number < SmallFiles; number++)
        {
            OpenFile file = await BenchFiles.CreateAsync(client, VNodeId.Root, BenchFiles.Name("file", number));
            await BenchFiles.WriteAsync(client, file, 0, BenchFiles.Content(number));
            BenchException.Check(await client.CloseAsync(file), "close");
        }

        BenchException.Check(await client.SyncAllAsync(), "sync");
        return (long)SmallFiles * BenchFiles.SmallBytes;
    }

    private static async Task<long> WriteLargeAsync(DriveClient client)
    {
        OpenFile file = await BenchFiles.CreateAsync(client, VNodeId.Root, BenchFiles.Name("large", 0));
        byte[] piece = BenchFiles.Content(0, PieceBytes);
        for (int at = 0; at < LargeBytes; at += PieceBytes) { await BenchFiles.WriteAsync(client, file, (ulong)at, piece); }
        BenchException.Check(await client.FsyncAsync(file), "fsync");
        BenchException.Check(await client.CloseAsync(file), "close");
        return LargeBytes;
    }
}
