namespace KvFs.Core;

/// <summary>Keeps a file's backed bytes and its drive's quota in step.</summary>
internal static class BackedBytes
{
    /// <summary>Charges what an operation backed, or gives back what it freed.</summary>
    /// <returns><see cref="Status.NoSpace"/>: the quota would be exceeded.</returns>
    public static Status Charge(ref VNode vnode, long growth, DriveTransaction transaction)
    {
        if (growth < 0)
        {
            Release(ref vnode, (ulong)-growth, transaction);
            return Status.Ok;
        }

        Status status = transaction.ChargeBytes(growth);
        if (status == Status.Ok) { vnode.AllocatedBytes += (ulong)growth; }
        return status;
    }

    /// <exception cref="RecordCorruptException">The file has fewer: its record, or a slice's, is not what we wrote.
    /// </exception>
    public static void Release(ref VNode vnode, ulong bytes, DriveTransaction transaction)
    {
        if (bytes > vnode.AllocatedBytes)
        {
            throw new RecordCorruptException("A file's slices back more bytes than its record says.");
        }

        vnode.AllocatedBytes -= bytes;
        transaction.ChargeBytes(-(long)bytes);
    }
}
