using System.Diagnostics;
using System.Text.Json.Nodes;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Bench.Rows;

/// <summary>What an operation costs while a drive grows. One asks at a time, and the client keeps nothing: each is a round trip.
/// </summary>
internal static class GrowthRows
{
    private const int FilesPerDirectory = 1000;

    /// <summary>Files of one transaction: each is made, and gets its bytes.</summary>
    private const int FilesPerBatch = 500;

    /// <summary>Of each kind at each size: enough for a median.</summary>
    private const int Samples = 1000;

    /// <summary>Where it is looked at what things cost.</summary>
    private static readonly int[] s_sizes = [10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];

    /// <summary>A thousand files in each directory.</summary>
    public static Task SpreadAsync(BenchRun run) => GrowAsync(run, "growth", FilesPerDirectory);

    /// <summary>All in one.</summary>
    public static Task OneDirectoryAsync(BenchRun run) => GrowAsync(run, "one-directory", int.MaxValue);

    private static async Task GrowAsync(BenchRun run, string row, int filesPerDirectory)
    {
        string drive = (await run.Pool.MakeDrivesAsync(row, 1, run.Cancel))[0];
        await using IDriveSession session = await run.Pool.OpenAsync(drive, run.Cancel);
        GrowingDrive growing = new(session, filesPerDirectory, run.Options.GrowBytes);
        foreach (int size in s_sizes.Where(size => size < run.Options.GrowTo).Append(run.Options.GrowTo))
        {
            Results.Say($"{row}: {size} files");
            Usage before = await run.Meter.ReadAsync();
            int files = size - growing.Count;
            long began = Stopwatch.GetTimestamp();
            await growing.GrowAsync(size);
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            Usage used = (await run.Meter.ReadAsync()) - before;
            JsonObject line = new()
            {
                ["files"] = size,
                ["fileBytes"] = run.Options.GrowBytes,
                ["batchedFileUs"] = Math.Round(seconds * 1e6 / files, 2),
                ["nodesProcessorUs"] = Math.Round(used.NodeSeconds * 1e6 / files, 2),
                ["diskBytes"] = Math.Round((double)used.DiskBytes / files, 1),
                ["nodeMemoryMiB"] = run.Meter.MemoryMiB(),
            };
            await SampleAsync(line, "create", growing.CreateOneAsync);
            await SampleAsync(line, "lookup", growing.LookUpOneAsync);
            await SampleAsync(line, "read", growing.ReadOneAsync);
            run.Results.Add(row, line);
        }
    }

    private static async Task SampleAsync(JsonObject line, string kind, Func<ValueTask> ask)
    {
        LatencyHistogram latencies = new();
        for (int sample = 0; sample < Samples; sample++)
        {
            long began = Stopwatch.GetTimestamp();
            await ask();
            latencies.Add((long)Stopwatch.GetElapsedTime(began).TotalNanoseconds);
        }

        line[$"{kind}Us"] = Math.Round(latencies.Microseconds(0.5), 1);
        line[$"{kind}P99Us"] = Math.Round(latencies.Microseconds(0.99), 1);
    }

    /// <summary>A drive, and what is on it.</summary>
    private sealed class GrowingDrive(IDriveSession session, int filesPerDirectory, int fileBytes)
    {
        private readonly Random random = new(1);
        private readonly List<VNodeId> directories = [];
        private readonly List<VNodeId> ids = [];
        private readonly TransactResult result = new();
        private VNodeId probes;
        private long probed;

        /// <summary>Files, without those of <see cref="CreateOneAsync"/>.</summary>
        public int Count => ids.Count;

        public async Task GrowAsync(int size)
        {
            while (ids.Count < size)
            {
                (int number, int taken) = Math.DivRem(ids.Count, filesPerDirectory);
                if (number == directories.Count)
                {
                    directories.Add(await BenchFiles.MakeDirectoryAsync(session, VNodeId.Root, BenchFiles.Name("directory", number)));
                }

                int count = Math.Min(Math.Min(FilesPerBatch, size - ids.Count), filesPerDirectory - taken);
                await AddAsync(directories[number], count);
            }
        }

        /// <summary>Makes an empty file in a directory beside the others.</summary>
        public async ValueTask CreateOneAsync()
        {
            if (probed % FilesPerDirectory == 0)
            {
                probes = filesPerDirectory == FilesPerDirectory
                    ? await BenchFiles.MakeDirectoryAsync(session, VNodeId.Root, BenchFiles.Name("probes", probed))
                    : directories[0];
            }

            Reply<NodeInfo> made = await BenchFiles.CreateAsync(session, probes, BenchFiles.Name("probe", probed++));
            BenchException.Check(made.Status, "making a file");
        }

        public async ValueTask LookUpOneAsync()
        {
            int number = random.Next(ids.Count);
            Reply<NodeInfo> found = await session.LookupAsync(
                directories[number / filesPerDirectory], BenchFiles.Name("file", number), CowNumber.Head);
            BenchException.Check(found.Status, "looking a name up");
            if (found.Value.Id != ids[number]) { throw new BenchException(BenchException.Failed, $"The name of file {number} leads to another one."); }
        }

        /// <summary>Where a file's bytes are, and, because they are few, these themselves.</summary>
        public async ValueTask ReadOneAsync()
        {
            int number = random.Next(ids.Count);
            Reply<ClusterMap> map = await session.GetClusterAsync(ids[number], 0, CowNumber.Head);
            BenchException.Check(map.Status, "reading");
            BenchFiles.Check(map.Value.Inline, number);
        }

        private async Task AddAsync(VNodeId directory, int count)
        {
            List<TransactOperation> operations = [];
            Timestamp now = Timestamp.At(TimeProvider.System.GetUtcNow());
            for (int number = ids.Count; number < ids.Count + count; number++)
            {
                FileCommit commit = new() { MinSize = (ulong)fileBytes, ModifyTime = now };
                commit.Inline.Set(BenchFiles.Content(number, fileBytes));
                commit.Runs.Add(new(0, (uint)fileBytes, SliceKind.Inline, default, 0));
                operations.Add(BenchFiles.CreateOperation(directory, BenchFiles.Name("file", number)));
                operations.Add(new CommitOperation(NodeReference.ResultOf(operations.Count - 1), commit));
            }

            BenchException.Check(await session.TransactAsync(new([], operations), result), "a transaction");
            for (int at = 0; at < result.Nodes.Count; at += 2) { ids.Add(result.Nodes[at].Id); }
        }
    }
}
