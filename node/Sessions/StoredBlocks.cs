using System.Collections.Concurrent;
using KvFs.Core;

namespace KvFs.Node.Sessions;

/// <summary>The blocks that a session has had stored under this primary, and that nothing names yet.</summary>
/// <remarks>Thread safe. What its client neither names nor gives back stays until the session ends: no more than it has stored.</remarks>
internal sealed class StoredBlocks : IStoredBlocks
{
    private readonly ConcurrentDictionary<ulong, bool> ids = new();

    public bool Has(BlockId block) => ids.ContainsKey(block.Value);

    public void Add(BlockId block) => ids[block.Value] = true;

    /// <summary>They are named, or given back.</summary>
    public void Forget(BlockId first, uint count)
    {
        for (uint at = 0; at < count; at++) { ids.TryRemove(first.Value + at, out _); }
    }

    public void Forget(FileCommit committed)
    {
        foreach (FileRun run in committed.Runs)
        {
            if (run.Kind == SliceKind.Block) { Forget(run.Block.Id, 1); }
        }
    }
}
