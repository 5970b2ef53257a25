namespace KvFs.Core;

/// <summary>The records of a shard as they will be once all that is in its log is applied.</summary>
/// <param name="applied">As they are: what is applied meanwhile may be seen in it or not, it is the same.</param>
/// <param name="inFlight">What is in the log, and not known to be applied.</param>
public sealed class HeadReader(IRecordReader applied, InFlightBatches inFlight) : IRecordReader
{
    public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (inFlight.IsEmpty || !inFlight.TryFind(key, out ReadOnlySpan<byte> changed, out bool isDeleted)) { return applied.TryGet(key, value); }
        value.Set(changed);
        return !isDeleted;
    }

    public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        PendingView? changed = inFlight.IsEmpty ? null : inFlight.Select(from, to);
        IRecordCursor below = applied.OpenCursor(from, to);
        return changed is null ? below : new OverlaidCursor(below, changed);
    }
}
