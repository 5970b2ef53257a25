using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>How decisions are carried out.</summary>
public sealed partial class ReplicationDriver
{
    /// <summary>Carries out what was decided, in its order.</summary>
    /// <param name="message">What the decision was about, if that was a message: has the contents of entries.</param>
    /// <param name="snapshot">The same, if it was a snapshot.</param>
    private void CarryOut(V1.PeerMessage? message, ReceivedSnapshot? snapshot = null)
    {
        try
        {
            for (int at = 0; at < effects.Count && !hasFailed; at++) { CarryOut(effects[at], message?.AppendEntries, snapshot); }
        }
        catch (Exception failed)
        {
            // What was decided and not carried out must not be believed, and never be carried out for another message.
            Fail(failed.Message);
        }
        finally
        {
            effects.Clear();
        }
    }

    private void CarryOut(ReplicationEffect effect, V1.AppendEntries? entries, ReceivedSnapshot? snapshot)
    {
        if (effect is StoreEntries or StoreReignEntry or CutLog or InstallSnapshot && first.Write() is var recorded && recorded != Status.Ok)
        {
            Fail($"recording the pool map: {recorded}");
            return;
        }

        switch (effect)
        {
            case SendMessage send:
                peers.Send(send.To, send.Message.ToWire());
                break;
            case SendEntries send:
                SendWithContents(send);
                break;
            case SendSnapshot send:
                HostedReplica sent = replicas[send.Shard];
                LogPosition shown = sent.Log.PositionOf(sent.Log.Applied);
                snapshots.Start(send.To, new(send.Shard, send.Epoch, shown, sent.Core.EndedBefore(shown.Index)));
                break;
            case StoreEntries stored when entries is not null:
                Store(stored, entries);
                break;
            case StoreEntries:
                // Of this node's own reign: who submitted it has stored it.
                break;
            case StoreReignEntry stored:
                Require(stored.Shard, replicas[stored.Shard].Log.Append(stored.Position.Index, stored.Position.Epoch, default, []));
                break;
            case CutLog cut:
                Require(cut.Shard, replicas[cut.Shard].Log.Cut(cut.After));
                break;
            case InstallSnapshot install:
                HostedReplica replaced = replicas[install.Shard];
                replaced.Installing = snapshot;
                installer.Add(replaced.Log, install, snapshot!);
                break;
            case SyncLog sync:
                replicas[sync.Shard].IsSyncing = true;
                syncer.Want(sync.Shard);
                break;
            case ApplyEntries apply:
                HostedReplica applied = replicas[apply.Shard];
                applied.ApplyUpTo = apply.UpTo;
                Apply(applied);
                break;
            case BeginServing begin:
                LogServing(logger, begin.Shard, begin.Epoch);
                events.Begin(begin.Shard, new ReplicatedShardLog(this, begin.Shard, replicas[begin.Shard].Term));
                break;
            case EndServing end:
                LogServingEnded(logger, end.Shard);
                replicas[end.Shard].Term++;
                copies.OnServingEnded(end.Shard);
                replicas[end.Shard].EndWaiters(Status.Unknown);
                events.End(end.Shard);
                break;
            case ProposeReign propose:
                LogProposed(logger, propose.Next, propose.Reason);
                proposer.Propose(propose);
                break;
            default:
                throw new ArgumentException($"An effect of no known kind: {effect}.");
        }
    }

    private void Apply(HostedReplica replica)
    {
        Status status;
        try
        {
            status = replica.Apply();
        }
        catch (StorageException failed)
        {
            Fail(failed.Message);
            return;
        }

        if (status is not (Status.Ok or Status.NoSpace)) { Fail($"applying the log of shard {replica.Log.Shard}: {status}"); }
        else { replica.WakeWaiters(); }
    }

    private void Store(StoreEntries stored, V1.AppendEntries entries)
    {
        int count = (int)(stored.Last.Value - stored.First.Value + 1);
        HostedReplica replica = replicas[stored.Shard];
        Require(stored.Shard, replica.Log.Store(
            stored.First, entries.Entries.Skip(entries.Entries.Count - count).Select(static entry => entry.Memory)));
    }

    private void OnInstalled(InstallSnapshot install, string? failure)
    {
        lock (gate)
        {
            if (hasFailed) { return; }
            if (failure is not null)
            {
                Fail(failure);
                return;
            }

            LogInstalled(logger, install.Shard, install.At);
            HostedReplica replica = replicas[install.Shard];
            replica.OnInstalled();
            try
            {
                replica.Core.OnInstalled(SuspendClock.Now, effects);
            }
            catch (InvariantException broken)
            {
                Fail(broken.Message);
            }

            CarryOut(null);
        }
    }

    /// <summary>What a decision relies on is not on the disk: the node takes no part any more. A full disk is no such case where
    /// it can be foreseen (<see cref="HasSpaceFor"/>).</summary>
    private void Require(ShardId shard, Status status)
    {
        if (status != Status.Ok) { Fail($"writing the log of shard {shard}: {status}"); }
    }

    /// <summary>Sends entries in as many messages as their lengths ask for.</summary>
    private void SendWithContents(SendEntries send)
    {
        ReplicaLog log = replicas[send.Entries.Shard].Log;
        AppendEntries rest = send.Entries;
        do
        {
            List<ReadOnlyMemory<byte>> contents = new(rest.Entries.Length);
            LogIndex index = rest.Previous.Index;
            long bytes = 0;
            while (contents.Count < rest.Entries.Length)
            {
                // The receiver stores a message at once: what does not fit comes in the next one, or alone.
                ReadOnlyMemory<byte> entry = log.Read(index.Next);
                if (contents.Count > 0 && bytes + entry.Length > WireReplication.MessageBytes) { break; }
                index = index.Next;
                contents.Add(entry);
                bytes += entry.Length;
            }

            peers.Send(send.To, (rest with { Entries = rest.Entries[..contents.Count] }).ToWire(contents));
            if (contents.Count == 0) { return; }
            rest = rest with { Previous = new(rest.Entries[contents.Count - 1], index), Entries = rest.Entries[contents.Count..] };
        }
        while (!rest.Entries.IsEmpty);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Serving shard {Shard} in epoch {Epoch}.")]
    private static partial void LogServing(ILogger logger, ShardId shard, Epoch epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "No longer serving shard {Shard}.")]
    private static partial void LogServingEnded(ILogger logger, ShardId shard);

    [LoggerMessage(Level = LogLevel.Information, Message = "Proposing {Next}, because {Reason}.")]
    private static partial void LogProposed(ILogger logger, Reign next, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Took a snapshot of shard {Shard} up to {At}.")]
    private static partial void LogInstalled(ILogger logger, ShardId shard, LogPosition at);
}
