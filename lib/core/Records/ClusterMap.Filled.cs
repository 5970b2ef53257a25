namespace KvFs.Core;

public sealed partial class ClusterMap
{
    /// <summary>Takes what another map shows, as a message carried it.</summary>
    /// <param name="visible">Its runs: sorted, without overlap, within a cluster; Inline, Block or Unwritten.</param>
    /// <param name="inlineBytes">Where the inline runs have their bytes.</param>
    /// <param name="deltaCount">What <see cref="DeltaCount"/> is to tell.</param>
    /// <returns>False if these are no such runs; the map is empty then.</returns>
    public bool TryFill(ReadOnlySpan<Slice> visible, ReadOnlySpan<byte> inlineBytes, int deltaCount)
    {
        Clear();
        ulong end = 0;
        foreach (ref readonly Slice run in visible)
        {
            ulong runEnd = (ulong)run.Offset + run.Length;
            bool hasSource = run.Kind switch
            {
                SliceKind.Inline => (ulong)run.SourceOffset + run.Length <= (ulong)inlineBytes.Length,
                SliceKind.Block => (ulong)run.SourceOffset + run.Length <= Limits.BlockBytes,
                SliceKind.Unwritten => true,
                _ => false,
            };
            if (!hasSource || run.Length == 0 || run.Offset < end || runEnd > Limits.ClusterBytes)
            {
                Clear();
                return false;
            }

            end = runEnd;
            MappedBytes += run.Length;
            runs.Add(run);
        }

        inline.Set(inlineBytes);
        DeltaCount = deltaCount;
        return true;
    }
}
