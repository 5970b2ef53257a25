using KvFs.Core;
using KvFs.Node.Sessions;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

internal sealed partial class RemoteSession
{
    /// <summary>Takes a request from a stream; waits while too many are on their way.</summary>
    public async ValueTask AcceptAsync(V1.Request request, CancellationToken cancellation)
    {
        await room.WaitAsync(cancellation);
        Accept(request, isOwnThread: false);
    }

    /// <summary>The same on a thread that only takes this session's requests: what is only read, from memory, is read on it.</summary>
    public void Accept(V1.Request request, CancellationToken cancellation)
    {
        room.Wait(cancellation);
        Accept(request, isOwnThread: true);
    }

    private void Accept(V1.Request request, bool isOwnThread)
    {
        if (!TryBegin(request, fromStream: true, out Begun begun))
        {
            // One that waits for itself needs no room of its own: a client that resumes sends all again that it waits for.
            bool isDone = begun.Answer is { IsCompleted: true };
            if (!isDone) { room.Release(); }
            if (begun.Answer is not null) { _ = ReplyAsync(request.Id, OfEarlierAsync(begun), isDone ? room : null); }
            return;
        }

        // Another thread would cost more than what is in memory.
        if (isOwnThread && requests.TryReadCached(request) is { } read)
        {
            Leave();
            _ = ReplyAsync(null, Task.FromResult(read), room);
            return;
        }

        // The only order that is promised: what is given back, or said, is there for whoever asks behind it.
        Work work = new(this, begun);
        bool isOrdered = request.OperationCase is Operation.Unreserve or Operation.TellHoldings;
        bool mayWait = request.IsChange() || request.OperationCase is Operation.Sync or Operation.ReadBlock or Operation.WriteBlock;
        if (isOrdered) { work.Execute(); }
        else if (isOwnThread && !mayWait && local.HasNoOthers) { LocalDriveSession.DoSettled(work); }
        else { (request.IsOwed() ? owed : threads).Run(work); }
    }

    /// <summary>Answers a request that came without a stream.</summary>
    public async ValueTask<V1.Answer> AskAsync(V1.Request request)
    {
        // Nobody could recall it.
        request.Keep = false;
        if (request.OperationCase == Operation.Delegate) { return new() { Id = request.Id, Status = V1.Status.Invalid }; }
        if (request.OperationCase == Operation.Create) { request.Create.Delegated = false; }
        Answered done = TryBegin(request, fromStream: false, out Begun begun)
            ? await threads.RunAsync(() => new ValueTask<Answered>(CarryOutAsync(begun)))
            : await OfEarlierAsync(begun);
        if (done.MayBeTold) { return WithId(done.Answer, request.Id); }

        // One without a name cannot be sent again: it may have been applied.
        bool isAskable = request.Sequence != 0 || !request.IsChange();
        return new() { Id = request.Id, Status = isAskable ? V1.Status.StaleEpoch : V1.Status.Unknown };
    }

    /// <summary>Does something that the session may not end under. SessionExpired: it has ended.</summary>
    public async ValueTask<Status> UseAsync(Func<ValueTask<Status>> work)
    {
        lock (gate)
        {
            if (end is not null) { return ended; }
            running++;
        }

        try
        {
            return await threads.RunAsync(work);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Gives up a wait for a lock.</summary>
    public void Cancel(ulong id)
    {
        lock (gate)
        {
            if (waits.TryGetValue(id, out CancellationTokenSource? wait)) { threads.Run(new Cancelling(wait)); }
        }
    }

    /// <summary>Whether a request is to be carried out; if not, there is an answer, or will be.</summary>
    private bool TryBegin(V1.Request request, bool fromStream, out Begun begun)
    {
        begun = new(request, false, null, null);
        if (request.Session != Id.Value) { return Refuse(Status.SessionExpired, ref begun); }
        bool isNamed = request.Sequence != 0 && request.IsChange();
        lock (gate)
        {
            if (end is not null) { return Refuse(ended, ref begun); }
            if (holdings is not null && request.OperationCase != Operation.TellHoldings) { return Refuse(Status.Invalid, ref begun); }
            if (isNamed)
            {
                RequestVerdict verdict = kept.Begin(request, fromStream, out Task<V1.Answer>? answer);
                if (verdict == RequestVerdict.Repeat)
                {
                    begun = begun with { Answer = answer };
                    return false;
                }

                if (verdict != RequestVerdict.Apply) { return Refuse(Status.Invalid, ref begun); }
            }

            running++;
            begun = begun with { IsNamed = isNamed };
            if (request.OperationCase == Operation.SetLock && request.SetLock.Wait)
            {
                begun = begun with { Wait = CancellationTokenSource.CreateLinkedTokenSource(ending.Token) };
                waits[request.Id] = begun.Wait!;
            }

            return true;
        }
    }

    private static bool Refuse(Status status, ref Begun begun)
    {
        begun = begun with { Answer = Task.FromResult(new V1.Answer { Status = status.ToWire() }) };
        return false;
    }

    /// <summary>Carries out what has begun. Does not throw.</summary>
    private async Task<Answered> CarryOutAsync(Begun begun)
    {
        V1.Request request = begun.Request;
        Answered answered;
        try
        {
            answered = request.OperationCase == Operation.TellHoldings
                ? Decided(request, TakeHoldings(request.TellHoldings))
                : await requests.AnswerAsync(request, begun.Wait?.Token ?? CancellationToken.None);
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or OverflowException)
        {
            answered = Decided(request, Status.Invalid);
        }
        catch (Exception e)
        {
            LogFailed(logger, request.OperationCase, e);
            answered = Decided(request, Status.Unknown);
        }

        request.Lent?.Dispose();
        if (begun.IsNamed) { kept.End(request, answered.Answer); }
        if (begun.Wait is { } wait)
        {
            lock (gate)
            {
                if (waits.GetValueOrDefault(request.Id) == wait) { waits.Remove(request.Id); }
            }

            wait.Dispose();
        }

        Leave();
        return answered;
    }

    private Answered Decided(V1.Request request, Status status) =>
        new(new() { Id = request.Id, Status = status.ToWire() }, local.Hosted.Shard.CanServe);

    /// <summary>What a request gets that is not carried out (again).</summary>
    private async Task<Answered> OfEarlierAsync(Begun begun) => new(await begun.Answer!, local.Hosted.Shard.CanServe);

    private void Leave()
    {
        lock (gate)
        {
            running--;
            if (running == 0 && end is not null) { idle.TrySetResult(); }
        }
    }

    /// <summary>Sends an answer to the stream that is the session's when it is there; one that may not be told ends the stream.</summary>
    private async Task ReplyAsync(ulong? id, Task<Answered> answer, SemaphoreSlim? taken)
    {
        Answered done = await answer;
        V1.ServerMessage message = new() { Answer = WithId(done.Answer, id ?? done.Answer.Id) };
        SessionStream? current;
        lock (gate)
        {
            if (!done.MayBeTold) { CutStream(); }
            current = stream;
        }

        if (current is null) { taken?.Release(); }
        else { current.Send(message, taken); }
    }

    private static V1.Answer WithId(V1.Answer answer, ulong id)
    {
        if (answer.Id == id) { return answer; }
        return new(answer) { Id = id };
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A request of a client failed ({Operation}); it was told that nobody knows whether it was applied.")]
    private static partial void LogFailed(ILogger logger, Operation operation, Exception e);

    /// <param name="Request">What is to be done.</param>
    /// <param name="IsNamed">Its answer is kept.</param>
    /// <param name="Wait">Ends its wait for a lock, if it is one.</param>
    /// <param name="Answer">If it is not to be done: what is answered; null: whoever does it answers.</param>
    private readonly record struct Begun(
        V1.Request Request, bool IsNamed, CancellationTokenSource? Wait, Task<V1.Answer>? Answer);

    private sealed class Work(RemoteSession session, Begun begun) : IThreadPoolWorkItem
    {
        public void Execute() => _ = session.ReplyAsync(null, session.CarryOutAsync(begun), session.room);
    }

    /// <summary>Cancelling answers whoever waited, with the shard's gate held meanwhile: not on a stream's thread.</summary>
    private sealed class Cancelling(CancellationTokenSource wait) : IThreadPoolWorkItem
    {
        public void Execute() => wait.CancelIfAlive();
    }
}
