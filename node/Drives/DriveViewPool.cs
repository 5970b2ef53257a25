using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>Views of a drive for reads of any thread: each is used by one at a time and then by the next.</summary>
/// <remarks>Thread safe, lock-free, and without allocation once it is warm. Views of the present depend on nothing that
/// changes: not on snapshots, and origins are fixed when the drive is made.</remarks>
public sealed class DriveViewPool(IRecordReader reader, DriveState state)
{
    /// <summary>Views kept: about as many as threads may read at once.</summary>
    private const int Kept = 32;

    private readonly StoredDriveView?[] free = new StoredDriveView?[Kept];

    /// <summary>Lends a view at a version; give it back with <see cref="Return"/>.</summary>
    public StoredDriveView Rent(CowNumber at)
    {
        if (at != CowNumber.Head) { return new(reader, state, at); }
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is not null && Interlocked.Exchange(ref free[i], null) is { } view) { return view; }
        }

        return new(reader, state, CowNumber.Head);
    }

    public void Return(StoredDriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (view.At != CowNumber.Head) { return; }
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is null && Interlocked.CompareExchange(ref free[i], view, null) is null) { return; }
        }
    }
}
