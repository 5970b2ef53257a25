using KvFs.Client;
using KvFs.Core;

namespace KvFs.Bench.Rows;

/// <summary>Writes of 4 KiB, each followed by an fsync: answered when every copy has it on its disk.</summary>
/// <remarks>With the sessions of a mount: names are done in the client and told with the fsync.</remarks>
internal static class DurableRows
{
    /// <summary>Of a file that is written over and over: each worker has its own.</summary>
    private const int FileBytes = 1 << 20;

    /// <summary>Overwrites in files that stay open.</summary>
    public static Task WriteAsync(BenchRun run) => RunAsync(run, "durable-write", run.Options.Concurrency, static async (client, worker) =>
    {
        OpenFile file = await BenchFiles.CreateAsync(client, VNodeId.Root, BenchFiles.Name("file", worker));
        byte[] content = BenchFiles.Content(worker);
        Random random = new(worker);
        return async () =>
        {
            ulong offset = (ulong)random.Next(FileBytes / BenchFiles.SmallBytes) * BenchFiles.SmallBytes;
            await BenchFiles.WriteAsync(client, file, offset, content);
            BenchException.Check(await client.FsyncAsync(file), "fsync");
            return 1;
        };
    });

    /// <summary>New files, one after the other: make, write, fsync, close.</summary>
    public static Task CreateAsync(BenchRun run) => RunAsync(run, "durable-create", run.Options.Concurrency, static async (client, worker) =>
    {
        VNodeId directory = await BenchFiles.MakeDirectoryAsync(client.Session, VNodeId.Root, BenchFiles.Name("worker", worker));
        byte[] content = BenchFiles.Content(worker);
        long next = 0;
        return async () =>
        {
            OpenFile file = await BenchFiles.CreateAsync(client, directory, BenchFiles.Name("file", next++));
            await BenchFiles.WriteAsync(client, file, 0, content);
            BenchException.Check(await client.FsyncAsync(file), "fsync");
            BenchException.Check(await client.CloseAsync(file), "close");
            return 1;
        };
    });

    /// <summary>Workers that are spread over drives, each of which has one client.</summary>
    private static async Task RunAsync(
        BenchRun run, string row, int count, Func<DriveClient, int, Task<Func<ValueTask<int>>>> begin)
    {
        List<DriveClient> clients = [];
        try
        {
            foreach (string drive in await run.Pool.MakeDrivesAsync(row, run.Options.Drives, run.Cancel))
            {
                clients.Add(new(await run.Pool.OpenBufferedAsync(drive, run.Cancel), new(), TimeProvider.System));
            }

            List<Func<ValueTask<int>>> workers = [];
            for (int number = 0; number < count; number++) { workers.Add(await begin(clients[number % clients.Count], number)); }
            run.Results.Add(row, await ClosedLoop.RunAsync(workers, run.Options, run.Meter));
        }
        finally
        {
            foreach (DriveClient client in clients) { await client.DisposeAsync(); }
        }
    }
}
