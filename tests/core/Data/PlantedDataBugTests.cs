namespace KvFs.Core.Tests;

/// <summary>Bugs that the random lives must find: if one of these passes, the checks are worth nothing.</summary>
public sealed class PlantedDataBugTests
{
    /// <summary>Lives that may pass before one finds the bug.</summary>
    private const int Seeds = 12;

    [Fact]
    public void A_forgotten_reference_is_found() =>
        AssertFound((operation, key) => operation == RecordOperation.Put && IsKind(key, RecordKind.BlockLive));

    [Fact]
    public void A_block_that_is_not_noted_as_dead_is_found() =>
        AssertFound((operation, key) => operation == RecordOperation.Delete && IsKind(key, RecordKind.BlockLive));

    [Fact]
    public void A_slice_that_does_not_move_to_history_is_found() =>
        AssertFound((operation, key) => operation == RecordOperation.Put && IsKind(key, RecordKind.History)
            && key[DriveId.Size + 2] == (byte)RecordKind.Slice);

    [Fact]
    public void A_slice_that_is_not_deleted_is_found() =>
        AssertFound((operation, key) => operation == RecordOperation.Delete && IsKind(key, RecordKind.Slice));

    [Fact]
    public void A_lost_slice_is_found() =>
        AssertFound((operation, key) => operation == RecordOperation.Put && IsKind(key, RecordKind.Slice));

    private static bool IsKind(ReadOnlySpan<byte> key, RecordKind kind) => key[DriveId.Size] == (byte)kind;

    private delegate bool Selector(RecordOperation operation, ReadOnlySpan<byte> key);

    private static void AssertFound(Selector isLost)
    {
        for (int seed = 1; seed <= Seeds; seed++)
        {
            DataWorkload workload = new(seed, cached: false);
            workload.Tamper(batch => Lose(batch, isLost));
            try { workload.Run(60); }
            catch (Exception found) when (found is Xunit.Sdk.XunitException or RecordCorruptException or KeyNotFoundException)
            {
                return;
            }
        }

        Assert.Fail("Nobody noticed.");
    }

    private static void Lose(RecordBatch batch, Selector isLost)
    {
        byte[] bytes = batch.Bytes.ToArray();
        ReadOnlySpan<byte> rest = bytes;
        batch.Clear();
        while (RecordBatch.TryReadNext(
            ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            if (isLost(operation, key)) { continue; }
            if (operation == RecordOperation.Put) { batch.Put(key, value); }
            else { batch.Delete(key); }
        }
    }
}
