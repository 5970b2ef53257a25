using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Cli.Pool;

/// <summary>What the nodes of a pool said when they were asked, at one moment.</summary>
/// <param name="Answers">Of each node that answered, one.</param>
/// <param name="Best">Of these the one that knows most of the others; null: nobody answered.</param>
/// <param name="Copies">Of each node that was asked for its copies and answered, one.</param>
internal sealed record PoolAnswers(IReadOnlyList<NodeActivity> Answers, NodeActivity? Best, IReadOnlyList<HeldCopies> Copies)
{
    /// <summary>Whether a node is there: it answered; of the others what those say that did.</summary>
    public NodePresence PresenceOf(NodeId node) =>
        Find(node) is not null ? NodePresence.Here
        : Best?.Peers.GetValueOrDefault(node, NodePresence.Silent) == NodePresence.Lost ? NodePresence.Lost
        : NodePresence.Silent;

    /// <summary>A node's copy of a shard; null: it has none, or did not say so.</summary>
    public HeldCopy? CopyOf(NodeId node, ShardId shard) =>
        Copies.FirstOrDefault(held => held.Node == node)?.Copies.FirstOrDefault(copy => copy.Shard == shard);

    /// <summary>What a node said; null: nothing.</summary>
    public NodeActivity? Find(NodeId node) => Answers.FirstOrDefault(one => one.Node == node);
}
