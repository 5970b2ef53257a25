using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>How the copies of blocks are that a node of a pool has.</summary>
/// <param name="UnrepairableBlocks">Blocks that are bad there, and that no other node has whole: reads of them fail.</param>
/// <param name="RepairedBlocks">Blocks in whose place a good copy was put since the node's start.</param>
/// <param name="QuarantinedBlocks">Bad blocks that are kept although a good copy has taken their place.</param>
/// <param name="QuarantinedBytes">Bytes that they take.</param>
/// <param name="LackingBlocks">Blocks that copies of the node's drives lacked when it compared them last, and could not be given.</param>
/// <param name="DifferingBlocks">Blocks of which a copy had other bytes under right checksums then.</param>
/// <param name="SurplusBlocks">Blocks that a copy had then and nothing refers to.</param>
/// <param name="LastScrub">When the node had read all of its blocks last; zero: never yet.</param>
public sealed record NodeHealth(
    ulong UnrepairableBlocks,
    ulong RepairedBlocks,
    ulong QuarantinedBlocks,
    ulong QuarantinedBytes,
    ulong LackingBlocks,
    ulong DifferingBlocks,
    ulong SurplusBlocks,
    Timestamp LastScrub);
