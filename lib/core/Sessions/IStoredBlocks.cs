namespace KvFs.Core;

/// <summary>Knows which blocks a session has had stored by this primary, in this term of it, so that every copy that counts has them.</summary>
/// <remarks>What was stored under an earlier primary, or in an earlier term, may be at this node alone: a power cut of all nodes takes blocks
/// that are answered and not named, at some copies and not at others, and who takes over may be one that has them.</remarks>
public interface IStoredBlocks
{
    bool Has(BlockId block);
}
