namespace KvFs.Core.Tests.Records;

/// <summary>Records as they will be, whatever of what is on its way is applied already.</summary>
public sealed class InFlightBatchesTests
{
    private const int Seeds = 300;

    [Fact]
    public void The_head_is_the_same_whatever_is_applied_meanwhile()
    {
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                Run(new Random(seed));
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }
    }

    [Fact]
    public void What_is_forgotten_gives_its_bytes_back()
    {
        InFlightBatches inFlight = new();
        RecordBatch batch = new();
        batch.Put([1], [2, 3]);
        inFlight.Add(new(5), batch);
        inFlight.Add(new(6), batch);
        Assert.Equal((2 * batch.ByteCount, new LogIndex(6)), (inFlight.ByteCount, inFlight.Last));
        inFlight.Forget(new(5));
        Assert.Equal((batch.ByteCount, new LogIndex(6)), (inFlight.ByteCount, inFlight.Last));
        inFlight.Forget(new(9));
        Assert.Equal((0, default, true), (inFlight.ByteCount, inFlight.Last, inFlight.IsEmpty));
    }

    [Fact]
    public void A_batch_that_deletes_ranges_is_not_for_it()
    {
        RecordBatch batch = new();
        batch.DeleteRange([1], [2]);
        Assert.ThrowsAny<Exception>(() => new InFlightBatches().Add(new(1), batch));
        batch.Clear();
        Assert.False(batch.HasRanges);
    }

    private static void Run(Random random)
    {
        MemoryRecords applied = new();
        MemoryRecords expected = new();
        Queue<(LogIndex Index, RecordBatch Batch)> log = [];
        InFlightBatches inFlight = new();
        HeadReader head = new(applied, inFlight);
        LogIndex next = new(1);
        LogIndex done = default;
        for (int step = 0; step < 60; step++)
        {
            switch (random.Next(4))
            {
                case 0:
                    // What is applied may be known to be, or not yet.
                    if (log.TryDequeue(out (LogIndex Index, RecordBatch Batch) oldest))
                    {
                        applied.Apply(oldest.Batch);
                        done = oldest.Index;
                    }

                    break;
                case 1:
                    inFlight.Forget(done);
                    break;
                default:
                    RecordBatch batch = Draw(random);
                    inFlight.Add(next, batch);
                    log.Enqueue((next, batch));
                    expected.Apply(batch);
                    next = next.Next;
                    break;
            }

            Compare(expected, head, random);
        }
    }

    private static RecordBatch Draw(Random random)
    {
        RecordBatch batch = new();
        int count = random.Next(1, 12);
        for (int at = 0; at < count; at++)
        {
            if (random.Next(3) == 0) { batch.Delete(Key(random)); }
            else { batch.Put(Key(random), [(byte)random.Next(256), .. new byte[random.Next(3)]]); }
        }

        return batch;
    }

    /// <summary>Few keys, of one to three bytes, some of which begin as others do.</summary>
    private static byte[] Key(Random random) => [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => (byte)random.Next(3))];

    private static void Compare(MemoryRecords expected, HeadReader head, Random random)
    {
        ByteBuffer value = new();
        ByteBuffer other = new();
        for (int at = 0; at < 8; at++)
        {
            byte[] key = Key(random);
            Assert.Equal(expected.TryGet(key, value), head.TryGet(key, other));
            Assert.Equal(value.Span, other.Span);
        }

        byte[] from = Key(random);
        byte[] to = random.Next(4) == 0 ? [] : Key(random);
        Assert.Equal(List(expected, from, to), List(head, from, to));
    }

    private static List<string> List(IRecordReader records, byte[] from, byte[] to)
    {
        List<string> found = [];
        using IRecordCursor cursor = records.OpenCursor(from, to);
        while (cursor.MoveNext()) { found.Add($"{Convert.ToHexString(cursor.Key)}={Convert.ToHexString(cursor.Value)}"); }
        return found;
    }
}
