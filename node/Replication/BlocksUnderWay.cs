using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Blocks that came on direct streams and wait to be stored, or are being: each once, and together of bounded size.</summary>
/// <remarks>Thread safe. A node that is not answered sends a block again, and again while the disk here hangs: it is held once, and all that
/// sent it are answered when it is stored.</remarks>
/// <param name="maxBytes">Of all of them; a single one is always taken.</param>
internal sealed class BlocksUnderWay(long maxBytes)
{
    /// <summary>Senders of one block that are answered: who has sent it that often since does not wait for the first answer any more.</summary>
    private const int MaxAnswers = 16;

    private readonly Lock gate = new();
    private readonly Dictionary<(V1.StoreHead Head, uint Crc32C), List<(NodeId From, ulong Number)>> underWay = [];
    private long bytes;

    /// <summary>Takes a block in.</summary>
    /// <returns>Ok: the caller stores it, then calls <see cref="End"/>. Exists: it is being stored already, and the sender is answered with
    /// that. Busy: there are too many.</returns>
    public Status Begin(NodeId from, V1.StoreBlock sent)
    {
        lock (gate)
        {
            if (underWay.TryGetValue(KeyOf(sent), out List<(NodeId From, ulong Number)>? asked))
            {
                if (asked.Count == MaxAnswers) { asked.RemoveAt(0); }
                asked.Add((from, sent.Number));
                return Status.Exists;
            }

            if (bytes > 0 && bytes + sent.Data.Length > maxBytes) { return Status.Busy; }
            bytes += sent.Data.Length;
            underWay.Add(KeyOf(sent), [(from, sent.Number)]);
            return Status.Ok;
        }
    }

    /// <summary>A block is stored, or cannot be: who is to be told, and by which numbers.</summary>
    public IReadOnlyList<(NodeId From, ulong Number)> End(V1.StoreBlock sent)
    {
        lock (gate)
        {
            bytes -= sent.Data.Length;
            underWay.Remove(KeyOf(sent), out List<(NodeId From, ulong Number)>? asked);
            return asked!;
        }
    }

    /// <summary>What tells two blocks apart; one under another reign is another one, because it may be refused under that.</summary>
    private static (V1.StoreHead Head, uint Crc32C) KeyOf(V1.StoreBlock sent) => (sent.Head, sent.Crc32C);
}
