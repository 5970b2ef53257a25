namespace KvFs.Core;

/// <summary>A lock record that came or went.</summary>
/// <param name="Node">The file.</param>
/// <param name="Space">Which kind of lock.</param>
/// <param name="Lock">The lock.</param>
/// <param name="Removed">It went.</param>
public readonly record struct LockChange(VNodeId Node, LockSpace Space, FileLock Lock, bool Removed);

/// <summary>What a change of the lock table is to lead to, in the order in which it must.</summary>
/// <remarks>First the changed records go into the log (<see cref="LockRecords.Write"/>); then the waiters are answered.
/// </remarks>
public sealed class LockEffects
{
    private readonly List<LockChange> changes = [];
    private readonly List<ulong> granted = [];
    private readonly List<ulong> dropped = [];

    /// <summary>In order: a lock may go and come back.</summary>
    public IReadOnlyList<LockChange> Changes => changes;

    /// <summary>Waiters that have their lock now, in the order in which they got it.</summary>
    public IReadOnlyList<ulong> Granted => granted;

    /// <summary>Waiters whose session has expired.</summary>
    public IReadOnlyList<ulong> Dropped => dropped;

    public void Clear()
    {
        changes.Clear();
        granted.Clear();
        dropped.Clear();
    }

    internal void Put(VNodeId node, LockSpace space, in FileLock added) => changes.Add(new(node, space, added, false));

    internal void Remove(VNodeId node, LockSpace space, in FileLock removed) => changes.Add(new(node, space, removed, true));

    internal void Grant(ulong waiter) => granted.Add(waiter);

    internal void Drop(ulong waiter) => dropped.Add(waiter);
}
