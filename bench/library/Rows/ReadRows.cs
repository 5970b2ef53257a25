using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Bench.Rows;

/// <summary>Reads of 4 KiB, each of a whole file that was written before and is in a block with others.</summary>
/// <remarks>The client that reads is another one than the one that wrote, so that it holds none of the bytes; it does not keep bytes
/// that it has read either: each read is a request to the primary, which reads 64 KiB of its block file, from the page cache, and
/// compares their checksum.</remarks>
internal static class ReadRows
{
    /// <summary>The files are open, and the client knows which block each is in: one request a read.</summary>
    public static async Task ReadAsync(BenchRun run)
    {
        await using ReadDrives drives = await ReadDrives.PrepareAsync(run, "read", new());
        await drives.OpenAllAsync();
        run.Results.Add("read", await ClosedLoop.RunAsync(drives.Workers(run, static drive => drive.ReadAsync), run.Options, run.Meter));
    }

    /// <summary>Nothing is known of the files: lookup, open, read and close are five requests.</summary>
    public static async Task OpenReadAsync(BenchRun run)
    {
        await using ReadDrives drives = await ReadDrives.PrepareAsync(run, "open-read", new() { ClosedFiles = 0 });
        run.Results.Add("open-read", await ClosedLoop.RunAsync(drives.Workers(run, static drive => drive.OpenReadCloseAsync), run.Options, run.Meter));
    }

    private sealed class ReadDrives(List<ReadDrive> drives) : IAsyncDisposable
    {
        public static async Task<ReadDrives> PrepareAsync(BenchRun run, string row, ClientOptions options)
        {
            List<ReadDrive> made = [];
            ReadDrives drives = new(made);
            try
            {
                foreach (string drive in await run.Pool.MakeDrivesAsync(row, run.Options.Drives, run.Cancel))
                {
                    made.Add(await ReadDrive.PrepareAsync(run, drive, options));
                }

                return drives;
            }
            catch
            {
                await drives.DisposeAsync();
                throw;
            }
        }

        public Task OpenAllAsync() => Task.WhenAll(drives.Select(static drive => drive.OpenAllAsync()));

        /// <summary>Workers that read files at random, spread over the drives.</summary>
        public List<Func<ValueTask<int>>> Workers(BenchRun run, Func<ReadDrive, Func<int, Memory<byte>, ValueTask>> read)
        {
            List<Func<ValueTask<int>>> workers = [];
            for (int number = 0; number < run.Options.Concurrency; number++)
            {
                Random random = new(number);
                byte[] buffer = new byte[BenchFiles.SmallBytes];
                Func<int, Memory<byte>, ValueTask> readOne = read(drives[number % drives.Count]);
                workers.Add(async () =>
                {
                    int file = random.Next(run.Options.Files);
                    await readOne(file, buffer);
                    BenchFiles.Check(buffer, file);
                    return 1;
                });
            }

            return workers;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (ReadDrive drive in drives) { await drive.DisposeAsync(); }
        }
    }

    private sealed class ReadDrive(DriveClient client, VNodeId[] ids) : IAsyncDisposable
    {
        private readonly OpenFile[] open = new OpenFile[ids.Length];

        /// <summary>Writes the files with one client, and reads with another one.</summary>
        public static async Task<ReadDrive> PrepareAsync(BenchRun run, string drive, ClientOptions options)
        {
            VNodeId[] ids = new VNodeId[run.Options.Files];
            await using (DriveClient writer = new(await run.Pool.OpenBufferedAsync(drive, run.Cancel), new(), TimeProvider.System))
            {
                for (int number = 0; number < ids.Length; number++)
                {
                    OpenFile file = await BenchFiles.CreateAsync(writer, VNodeId.Root, BenchFiles.Name("file", number));
                    ids[number] = file.Id;
                    await BenchFiles.WriteAsync(writer, file, 0, BenchFiles.Content(number));
                    BenchException.Check(await writer.CloseAsync(file), "closing a file");
                }

                BenchException.Check(await writer.SyncAllAsync(), "syncing");
            }

            return new(new(await run.Pool.OpenAsync(drive, run.Cancel), options, TimeProvider.System), ids);
        }

        /// <summary>Opens all, and reads each once: where its bytes are is known then.</summary>
        public async Task OpenAllAsync()
        {
            byte[] buffer = new byte[BenchFiles.SmallBytes];
            for (int number = 0; number < ids.Length; number++)
            {
                open[number] = await OpenAsync(ids[number]);
                await ReadAsync(number, buffer);
            }
        }

        public async ValueTask ReadAsync(int number, Memory<byte> buffer) => await ReadAsync(open[number], buffer);

        public async ValueTask OpenReadCloseAsync(int number, Memory<byte> buffer)
        {
            Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, BenchFiles.Name("file", number), CowNumber.Head);
            BenchException.Check(found.Status, "looking a name up");
            OpenFile file = await OpenAsync(found.Value.Id);
            await ReadAsync(file, buffer);
            BenchException.Check(await client.CloseAsync(file), "closing a file");
        }

        public ValueTask DisposeAsync() => client.DisposeAsync();

        private async ValueTask<OpenFile> OpenAsync(VNodeId id)
        {
            Reply<OpenFile> opened = await client.OpenAsync(id, CowNumber.Head);
            BenchException.Check(opened.Status, "opening a file");
            return opened.Value;
        }

        private async ValueTask ReadAsync(OpenFile file, Memory<byte> buffer)
        {
            Reply<int> read = await client.ReadAsync(file, 0, buffer);
            BenchException.Check(read.Status, "reading");
            if (read.Value != buffer.Length) { throw new BenchException(BenchException.Failed, $"{read.Value} bytes were read of {buffer.Length}."); }
        }
    }
}
