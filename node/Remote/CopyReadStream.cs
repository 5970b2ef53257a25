using KvFs.Core;
using KvFs.Direct;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>One client's reads of this node's copies of blocks.</summary>
internal sealed class CopyReadStream(DirectStream way, BlockCopyReader blocks, SessionKeys keys, RequestThreads threads) : IAsyncDisposable
{
    /// <summary>MiB that are read at once, each read at least one; more wait, and with them the connection.</summary>
    private const int MaxRoom = 64;

    private readonly SemaphoreSlim room = new(MaxRoom);
    private readonly CancellationTokenSource ending = new();

    private readonly TaskCompletionSource received = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when nothing is read for it any more.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    public void Start()
    {
        Ended = EndAsync();
        way.Start("kvfs-copies", WireDirect.CopyReads, WireDirect.MaxWaitingBytes, Take, _ => received.SetResult());
    }

    /// <summary>Takes no more.</summary>
    public void End()
    {
        ending.Cancel();
        way.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        End();
        await Ended;
    }

    private async Task EndAsync()
    {
        await received.Task;

        // What is being read has its room.
        for (int left = MaxRoom; left > 0; left--) { await room.WaitAsync(); }
    }

    private void Take(V1.CopyRead asked, AttachedBytes? attached)
    {
        if (attached is not null)
        {
            attached.Dispose();
            throw new InvalidDataException("bytes attached to a message that has no place for them");
        }

        if (!keys.IsOf(asked.Key))
        {
            Send(new() { Id = asked.Id, Status = V1.Status.SessionExpired });
            return;
        }

        if (asked.Length is 0 or > Limits.BlockBytes || asked.Offset > Limits.BlockBytes || !BlockService.TryName(asked.Block, out BlockName block))
        {
            Send(new() { Id = asked.Id, Status = V1.Status.Invalid });
            return;
        }

        if (asked.Length <= Limits.ChecksumUnitBytes && TryReadCached(asked, block)) { return; }
        for (int left = RoomOf(asked); left > 0; left--) { room.Wait(ending.Token); }

        threads.Run(new Reading(this, asked, block));
    }

    /// <summary>Another thread would cost more than what is in memory.</summary>
    private bool TryReadCached(V1.CopyRead asked, BlockName block)
    {
        AttachedBytes content = AttachedBytes.Rent((int)asked.Length);
        if (blocks.TryReadCached(block, asked.Offset, content.Memory.Span))
        {
            Send(asked.Id, content);
            return true;
        }

        content.Dispose();
        return false;
    }

    private void Read(V1.CopyRead asked, BlockName block)
    {
        AttachedBytes content = AttachedBytes.Rent((int)asked.Length);
        Status status = blocks.Read(block, asked.Offset, content.Memory.Span);
        if (status == Status.Ok)
        {
            Send(asked.Id, content);
            return;
        }

        content.Dispose();
        Send(new() { Id = asked.Id, Status = status.ToWire() });
    }

    private void Send(ulong id, AttachedBytes content) => Send(new()
    {
        Id = id,
        Range = content.ToRange(),
        Lent = content,
    });

    private void Send(V1.CopyReadReply answer)
    {
        way.Send(WireDirect.CopyReadReplies, answer.Detach(out ReadOnlyMemory<byte> attached), attached.Span);
        answer.Lent?.Dispose();
    }

    private static int RoomOf(V1.CopyRead asked) => 1 + ((int)(asked.Length - 1) >> 20);

    private sealed class Reading(CopyReadStream stream, V1.CopyRead asked, BlockName block) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            try
            {
                // Nobody waits for it when the stream is over.
                if (!stream.ending.IsCancellationRequested) { stream.Read(asked, block); }
            }
#pragma warning disable CA1031 // Whatever it is, it fails this read, and not the process.
            catch (Exception)
#pragma warning restore CA1031
            {
                stream.Send(new V1.CopyReadReply { Id = asked.Id, Status = V1.Status.IoError });
            }
            finally
            {
                stream.room.Release(RoomOf(asked));
            }
        }
    }
}
