using System.Runtime.CompilerServices;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Sends the frames of a connection, in turns.</summary>
/// <remarks>
/// Thread safe. There is no thread or task that waits: who has something to send when nobody sends does it, and takes what
/// others add meanwhile along, up to <see cref="BorrowedBytes"/>; then the thread pool goes on. Urgent frames go first, and
/// behind each <see cref="UrgentBytes"/> of them one other, in turns; so a small frame waits for one chunk, not for a block.
/// Small frames leave together, by a copy; large payloads leave from where they are.
/// </remarks>
internal sealed class FrameSender(Transport transport, TimeProvider clock, Action<Exception> onFailed)
{
    /// <summary>Bytes of the buffer in which small frames gather.</summary>
    private const int BufferBytes = 64 << 10;

    /// <summary>A payload of at most so many bytes is copied: less than what a call of its own costs.</summary>
    private const int CopiedBytes = 16 << 10;

    /// <summary>What a caller's thread sends of others before the thread pool takes over.</summary>
    private const int BorrowedBytes = 512 << 10;

    /// <summary>Bytes of urgent frames after which one other has its turn.</summary>
    private const int UrgentBytes = 256 << 10;

    private readonly Lock gate = new();
    private readonly byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private OutgoingQueue urgent;
    private OutgoingQueue others;
    private Outgoing? last;
    private bool isRunning;
    private bool isClosed;
    private int urgentSinceOther;
    private int used;
    private int borrowed;
    private long waitingSince;
    private TaskCompletionSource? idle;

    /// <summary>For how long the peer has not taken the bytes that are being sent; zero if it has.</summary>
    public TimeSpan Stalled
    {
        get
        {
            long since = Volatile.Read(ref waitingSince);
            return since == 0 ? TimeSpan.Zero : clock.GetElapsedTime(since);
        }
    }

    /// <summary>Sends the frames of an item when its turn comes; may send others', too, before it returns.</summary>
    /// <remarks>Call it with no lock held.</remarks>
    public void Send(Outgoing item)
    {
        if (Enqueue(item)) { Run(); }
    }

    /// <summary>Gives an item its turn. Call it with no lock held.</summary>
    /// <returns>Whether nobody sends: then the caller must <see cref="Run"/>.</returns>
    public bool Enqueue(Outgoing item)
    {
        lock (gate)
        {
            if (!isClosed)
            {
                Add(item);
                if (isRunning) { return false; }
                isRunning = true;
                return true;
            }
        }

        item.OnDropped();
        return false;
    }

    /// <summary>Sends what waits.</summary>
    public void Run() => _ = RunAsync();

    /// <summary>Sends one more item, behind all others, and then nothing any more. The first call counts.</summary>
    public void SendLast(Outgoing item)
    {
        lock (gate)
        {
            if (isClosed || last is not null) { return; }
            last = item;
            if (isRunning) { return; }
            isRunning = true;
        }

        _ = RunAsync();
    }

    /// <summary>Drops what is not sent, and sends nothing any more. Ends once no memory of anybody is used.</summary>
    /// <remarks>Only after the transport was aborted does it certainly end.</remarks>
    public Task CloseAsync()
    {
        Task ended = Task.CompletedTask;
        lock (gate)
        {
            isClosed = true;
            if (isRunning)
            {
                idle ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
                ended = idle.Task;
            }
        }

        if (ended.IsCompleted) { DropAll(); }
        return ended;
    }

    private void Add(Outgoing item)
    {
        if (item.IsUrgent) { urgent.Add(item); }
        else { others.Add(item); }
    }

    private async Task RunAsync()
    {
        borrowed = 0;
        Outgoing? current = null;
        try
        {
            do
            {
                while ((current = Next()) is not null)
                {
                    if (BufferBytes - used < FrameHeader.MaxHeadBytes + CopiedBytes) { await FlushAsync().ConfigureAwait(false); }
                    if (borrowed > BorrowedBytes)
                    {
                        borrowed = int.MinValue;
                        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                    }

                    int head = current.PutFrame(buffer.AsSpan(used), out ReadOnlyMemory<byte> payload);
                    if (head == 0) { continue; }
                    Count(current, head + payload.Length);
                    used += head;
                    if (payload.Length <= CopiedBytes)
                    {
                        payload.Span.CopyTo(buffer.AsSpan(used));
                        used += payload.Length;
                    }
                    else
                    {
                        await FlushAsync(payload).ConfigureAwait(false);
                    }

                    if (current.OnSent()) { Return(current); }
                }

                await FlushAsync().ConfigureAwait(false);
            }
            while (!await EndsAsync().ConfigureAwait(false));
        }
#pragma warning disable CA1031 // Whatever it is, it ends the connection, whose owner is told.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(current, e);
        }
    }

    private Outgoing? Next()
    {
        lock (gate)
        {
            if (isClosed) { return null; }
            if (urgentSinceOther < UrgentBytes || others.IsEmpty)
            {
                Outgoing? item = urgent.Take();
                if (item is not null) { return item; }
            }

            urgentSinceOther = 0;
            return others.Take();
        }
    }

    private void Count(Outgoing item, int bytes)
    {
        borrowed += bytes;
        if (item.IsUrgent) { urgentSinceOther += bytes; }
    }

    private void Return(Outgoing item)
    {
        bool wasClosed;
        lock (gate)
        {
            wasClosed = isClosed;
            if (!wasClosed) { Add(item); }
        }

        if (wasClosed) { item.OnDropped(); }
    }

    private ValueTask FlushAsync()
    {
        int bytes = used;
        used = 0;
        return bytes == 0 ? ValueTask.CompletedTask : WatchAsync(transport.SendAsync(buffer.AsMemory(0, bytes)));
    }

    private ValueTask FlushAsync(ReadOnlyMemory<byte> payload)
    {
        int bytes = used;
        used = 0;
        return WatchAsync(transport.SendAsync(buffer.AsMemory(0, bytes), payload));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WatchAsync(ValueTask sending)
    {
        if (!sending.IsCompleted)
        {
            Volatile.Write(ref waitingSince, Math.Max(1, clock.GetTimestamp()));
            borrowed = int.MinValue;  // What follows runs on a thread of the pool.
        }

        try
        {
            await sending.ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref waitingSince, 0);
        }
    }

    /// <summary>Whether there is nothing to send; then nobody sends.</summary>
    private async ValueTask<bool> EndsAsync()
    {
        Outgoing? final;
        lock (gate)
        {
            if (!isClosed && !(urgent.IsEmpty && others.IsEmpty)) { return false; }
            final = isClosed ? null : last;
            isClosed |= final is not null;
            if (!isClosed)
            {
                isRunning = false;
                return true;
            }
        }

        if (final is not null)
        {
            used = final.PutFrame(buffer, out _);
            await FlushAsync().ConfigureAwait(false);
            await transport.EndSendAsync().ConfigureAwait(false);
        }

        Stop();
        return true;
    }

    private void Fail(Outgoing? current, Exception e)
    {
        lock (gate) { isClosed = true; }
        current?.OnDropped();
        onFailed(e);
        Stop();
    }

    private void Stop()
    {
        DropAll();
        TaskCompletionSource? waiting;
        lock (gate)
        {
            isRunning = false;
            waiting = idle;
        }

        waiting?.SetResult();
    }

    private void DropAll()
    {
        while (true)
        {
            Outgoing? item;
            lock (gate) { item = urgent.Take() ?? others.Take(); }
            if (item is null) { return; }
            item.OnDropped();
        }
    }
}
