using System.Threading.Channels;
using KvFs.Core;
using KvFs.Protocol;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Does what the primary recalls, one after the other but for files, on threads that serve no stream.</summary>
/// <remarks>Thread safe. A recall that comes again while it is being done is done once.</remarks>
internal sealed class RecallQueue
{
    private readonly Channel<V1.Recall> queue = Channel.CreateUnbounded<V1.Recall>(new() { SingleReader = true });
    private readonly HashSet<ulong> standing = [];
    private readonly Action<ulong, Status> done;
    private readonly Task run;
    private ISessionRecall? handler;

    /// <param name="done">Is told what became of each.</param>
    public RecallQueue(Action<ulong, Status> done)
    {
        this.done = done;
        run = RunAsync();
    }

    /// <summary>Whom to ask; nobody keeps anything before that.</summary>
    public ISessionRecall? Handler
    {
        set => Volatile.Write(ref handler, value);
    }

    public void Add(V1.Recall recall)
    {
        lock (standing)
        {
            if (!standing.Add(recall.Id)) { return; }
        }

        queue.Writer.TryWrite(recall);
    }

    /// <summary>Takes no more; ends when those that were taken are done.</summary>
    public Task EndAsync()
    {
        queue.Writer.TryComplete();
        return run;
    }

    private async Task RunAsync()
    {
        Task returning = Task.CompletedTask;
        await foreach (V1.Recall recall in queue.Reader.ReadAllAsync())
        {
            // Files do not wait for one another.
            if (recall.Kind == V1.RecallKind.Return) { returning = Task.WhenAll(returning, FinishAsync(recall)); }
            else { await FinishAsync(recall); }
        }

        await returning;
    }

    private async Task FinishAsync(V1.Recall recall)
    {
        Status status = await DoAsync(recall);
        lock (standing) { standing.Remove(recall.Id); }
        done(recall.Id, status);
    }

    private async ValueTask<Status> DoAsync(V1.Recall recall)
    {
        V1.RecallKind kind = recall.Kind;
        if (kind is not (V1.RecallKind.Flush or V1.RecallKind.Invalidate or V1.RecallKind.Return)) { return Status.NotSupported; }
        if (Volatile.Read(ref handler) is not { } asked) { return Status.Ok; }
        try
        {
            if (kind == V1.RecallKind.Flush) { return await asked.FlushAsync(); }
            if (kind == V1.RecallKind.Return) { return await asked.ReturnAsync([.. recall.Nodes.Select(static node => new VNodeId(node))]); }
            await asked.InvalidateAsync();
            return Status.Ok;
        }
        catch (Exception e) when (e is not InvariantException)
        {
            // Whoever recalled fails with it; the session is not to end for it.
            return Status.IoError;
        }
    }
}
