using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>Views of a drive for reads of any thread: each is used by one at a time and then by the next.</summary>
/// <remarks>Thread safe, lock-free, and without allocation once it is warm. Views of the present depend on nothing that
/// changes but the origins, which get fewer when a clone is flattened: <see cref="Change"/>. A view that is lent meanwhile
/// shows the same until the drive is changed again, which its reader then overlaps with; it is not lent again.</remarks>
public sealed class DriveViewPool(IRecordReader reader, DriveState state)
{
    /// <summary>Views kept: about as many as threads may read at once.</summary>
    private const int Kept = 32;

    private Shelf shelf = new(state);

    /// <summary>Lends a view at a version; give it back with <see cref="Return"/>.</summary>
    public StoredDriveView Rent(CowNumber at)
    {
        Shelf now = Volatile.Read(ref shelf);
        if (at != CowNumber.Head) { return new(reader, now.State, at); }
        StoredDriveView?[] free = now.Free;
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is not null && Interlocked.Exchange(ref free[i], null) is { } view) { return view; }
        }

        return new(reader, now.Present);
    }

    public void Return(StoredDriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        Shelf now = Volatile.Read(ref shelf);
        if (view.At != CowNumber.Head || view.Layers != now.Present) { return; }
        StoredDriveView?[] free = now.Free;
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is null && Interlocked.CompareExchange(ref free[i], view, null) is null) { return; }
        }
    }

    /// <summary>The drive reads through other origins than before.</summary>
    public void Change(DriveState changed)
    {
        ArgumentNullException.ThrowIfNull(changed);
        if (!changed.Policy.Inherited.SequenceEqual(Volatile.Read(ref shelf).State.Policy.Inherited))
        {
            Volatile.Write(ref shelf, new(changed));
        }
    }

    /// <summary>Views of one chain of origins.</summary>
    private sealed class Shelf(DriveState state)
    {
        public DriveState State { get; } = state;

        /// <summary>The layers of all views here: the very same array, by which they are known.</summary>
        public ImmutableArray<DriveLayer> Present { get; } = state.LayersAt(CowNumber.Head);

        public StoredDriveView?[] Free { get; } = new StoredDriveView?[Kept];
    }
}
