using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Bench.Rows;

/// <summary>Operations on names and attributes, many of them at once: files are made, get another mode, another name, and go again.
/// </summary>
internal static class NameRows
{
    /// <summary>Transactions on their way for each drive: while one waits for the copies the next is on its way.</summary>
    private const int BatchesPerDrive = 2;

    /// <summary>After so many operations a session that is told behind its answers syncs: what counts is done, and not only promised.</summary>
    private const int OperationsPerSync = 4096;

    private static readonly SetAttributesRequest s_otherMode = new() { Mask = AttributeMask.Mode, Mode = 0x180 };

    /// <summary>Each request is one transaction of many operations, answered when every copy has it in its log.</summary>
    public static async Task BatchAsync(BenchRun run)
    {
        List<IDriveSession> sessions = [];
        try
        {
            foreach (string drive in await run.Pool.MakeDrivesAsync("batch", run.Options.Drives, run.Cancel))
            {
                sessions.Add(await run.Pool.OpenAsync(drive, run.Cancel));
            }

            List<Func<ValueTask<int>>> workers = [];
            for (int number = 0; number < sessions.Count * BatchesPerDrive; number++)
            {
                IDriveSession session = sessions[number % sessions.Count];
                BatchWorker worker = new(
                    session,
                    await BenchFiles.MakeDirectoryAsync(session, VNodeId.Root, BenchFiles.Name("worker", number)),
                    run.Options.Batch);
                workers.Add(worker.StepAsync);
            }

            LoopResult result = await ClosedLoop.RunAsync(workers, run.Options, run.Meter);
            run.Results.Add("batch", result, new() { ["batch"] = run.Options.Batch, ["batchesPerDrive"] = BatchesPerDrive });
        }
        finally
        {
            foreach (IDriveSession session in sessions) { await session.DisposeAsync(); }
        }
    }

    /// <summary>Each operation by itself, as a program on a mount asks; the client's session gathers them.</summary>
    public static async Task NamesAsync(BenchRun run)
    {
        List<IDriveSession> sessions = [];
        try
        {
            List<Func<ValueTask<int>>> workers = [];
            foreach (string drive in await run.Pool.MakeDrivesAsync("names", run.Options.Drives, run.Cancel))
            {
                IDriveSession session = await run.Pool.OpenBufferedAsync(drive, run.Cancel);
                sessions.Add(session);
                VNodeId directory = await BenchFiles.MakeDirectoryAsync(session, VNodeId.Root, BenchFiles.Name("worker", workers.Count));
                workers.Add(new NameWorker(session, directory).StepAsync);
            }

            LoopResult result = await ClosedLoop.RunAsync(workers, run.Options, run.Meter);
            run.Results.Add("names", result, new() { ["operationsPerSync"] = OperationsPerSync });
        }
        finally
        {
            foreach (IDriveSession session in sessions) { await session.DisposeAsync(); }
        }
    }

    /// <summary>The four kinds of transactions, in turn, in a directory of its own.</summary>
    private sealed class BatchWorker(IDriveSession session, VNodeId directory, int count)
    {
        private readonly VNodeId[] ids = new VNodeId[count];
        private readonly TransactResult result = new();
        private int step;

        public async ValueTask<int> StepAsync()
        {
            int kind = step++ % 4;
            TransactOperation[] operations = [.. Enumerable.Range(0, count).Select(number => Operation(kind, number))];
            BenchException.Check(await session.TransactAsync(new([], operations), result), "a transaction");
            if (kind == 0)
            {
                for (int number = 0; number < count; number++) { ids[number] = result.Nodes[number].Id; }
            }

            return count;
        }

        private TransactOperation Operation(int kind, int number) => kind switch
        {
            0 => BenchFiles.CreateOperation(directory, BenchFiles.Name("file", number)),
            1 => new SetAttributesOperation(ids[number], s_otherMode),
            2 => new RenameOperation(directory, BenchFiles.Name("file", number), directory, BenchFiles.Name("moved", number)),
            _ => new UnlinkOperation(directory, BenchFiles.Name("moved", number), Directory: false),
        };
    }

    /// <summary>A file's life, one operation after the other, over and over.</summary>
    private sealed class NameWorker(IDriveSession session, VNodeId directory)
    {
        private VNodeId id;
        private long step;
        private long untold;

        public async ValueTask<int> StepAsync()
        {
            if (untold++ == OperationsPerSync)
            {
                untold = 0;
                BenchException.Check(await session.SyncAsync(), "sync");
                return 0;
            }

            (long file, long kind) = Math.DivRem(step++, 4);
            BenchException.Check(await AskAsync(kind, BenchFiles.Name("file", file), BenchFiles.Name("moved", file)), "an operation on names");
            return 1;
        }

        private async ValueTask<Status> AskAsync(long kind, byte[] name, byte[] moved)
        {
            switch (kind)
            {
                case 0:
                    Reply<NodeInfo> created = await BenchFiles.CreateAsync(session, directory, name);
                    id = created.Value.Id;
                    return created.Status;
                case 1:
                    return (await session.SetAttributesAsync(s_otherMode with { Node = id })).Status;
                case 2:
                    return await StatusOf(session.RenameAsync(
                        new() { OldParent = directory, OldName = name, NewParent = directory, NewName = moved }));
                default:
                    return await StatusOf(session.UnlinkAsync(new() { Parent = directory, Name = moved }));
            }
        }

        private static async ValueTask<Status> StatusOf(ValueTask<Reply<UnlinkResult>> asked) => (await asked).Status;
    }
}
