using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>Tables with changes gathered before them, beside a sorted map: nobody can tell which they are.</summary>
public sealed class GatheringTablesTests : IDisposable
{
    private const int Keys = 40;
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-gathering-");
    private readonly KeyValueBatch batch = new();
    private ulong marked;

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 4)]
    [InlineData(3, 16)]
    [InlineData(4, 64)]
    [InlineData(5, 512)]
    public void Any_sequence_of_changes_reads_as_a_sorted_map(int seed, int capacity)
    {
        Random random = new(seed);
        SortedDictionary<(Family, byte), byte[]> model = [];
        GatheringTables tables = Open(capacity);
        ulong written = 0;
        for (int step = 0; step < 3000; step++)
        {
            string where = $"seed {seed}, step {step}";
            switch (random.Next(20))
            {
                case 0:
                    Assert.Equal(Status.Ok, tables.Flush(out _));
                    break;
                case 1:
                    CheckAll(tables, model, where);
                    break;
                case 2:
                    // What was flushed is there after a start; the journal, which has the rest, is not part of this.
                    Assert.Equal(Status.Ok, tables.Flush(out _));
                    tables.Dispose();
                    tables = Open(capacity);
                    CheckAll(tables, model, where);
                    Assert.Equal(written > 0, tables.TryReadMark(out JournalMark mark));
                    Assert.Equal(written, mark.Number);
                    break;
                default:
                    bool isMarked = random.Next(3) > 0;
                    Change(random, model);
                    if (isMarked) { written++; }
                    JournalMark? told = isMarked ? new JournalMark(written, 7) : null;
                    Assert.Equal(Status.Ok, tables.Write(batch, told, out _));
                    break;
            }

            CheckOne(tables, model, random, where);
        }

        tables.Dispose();
    }

    [Fact]
    public void A_snapshot_and_a_cursor_keep_the_moment_they_were_taken_at()
    {
        using GatheringTables tables = Open(64);
        Put(tables, 1, 1);
        Put(tables, 2, 1);
        using IKeyValueSnapshot snapshot = tables.CreateSnapshot();
        using IRecordCursor cursor = tables.OpenCursor(Family.System, [], []);
        Put(tables, 1, 2);
        Put(tables, 3, 2);
        Assert.Equal(Status.Ok, tables.Flush(out _));
        Put(tables, 2, 3);
        List<(byte, byte)> expected = [(1, 1), (2, 1)];
        Assert.Equal(expected, ReadAll(cursor));
        using IRecordCursor later = snapshot.OpenCursor(Family.System, [], []);
        Assert.Equal(expected, ReadAll(later));
        ByteBuffer value = new();
        Assert.True(snapshot.TryGet(Family.System, [1], value));
        Assert.Equal([1], value.Span.ToArray());
        Assert.False(snapshot.TryGet(Family.System, [3], value));
    }

    private static List<(byte Key, byte Value)> ReadAll(IRecordCursor cursor)
    {
        List<(byte, byte)> read = [];
        while (cursor.MoveNext()) { read.Add((cursor.Key[0], cursor.Value[0])); }
        return read;
    }

    private GatheringTables Open(int capacity) => new(RocksTables.Open($"{folder.FullName}/db"), capacity);

    private void Put(GatheringTables tables, byte key, byte value)
    {
        batch.Clear();
        batch.Put(Family.System, [key], [value]);
        Assert.Equal(Status.Ok, tables.Write(batch, new JournalMark(++marked, 7), out _));
    }

    /// <summary>Makes a batch of some changes, and makes them in the model, too.</summary>
    private void Change(Random random, SortedDictionary<(Family Family, byte Key), byte[]> model)
    {
        batch.Clear();
        for (int count = random.Next(5); count >= 0; count--)
        {
            Family family = (Family)random.Next(4);
            byte key = (byte)random.Next(Keys);
            int kind = random.Next(20);
            if (kind < 12)
            {
                byte[] value = new byte[random.Next(random.Next(30) == 0 ? 2000 : 20)];
                random.NextBytes(value);
                batch.Put(family, [key], value);
                model[(family, key)] = value;
            }
            else if (kind < 17)
            {
                batch.Delete(family, [key]);
                model.Remove((family, key));
            }
            else
            {
                byte end = (byte)(key + random.Next(10));
                batch.DeleteRange(family, [key], [end]);
                for (byte each = key; each < end; each++) { model.Remove((family, each)); }
            }
        }
    }

    private static void CheckOne(
        GatheringTables tables, SortedDictionary<(Family, byte), byte[]> model, Random random, string where)
    {
        Family family = (Family)random.Next(4);
        byte key = (byte)random.Next(Keys);
        ByteBuffer value = new();
        bool found = tables.TryGet(family, [key], value);
        bool expected = model.TryGetValue((family, key), out byte[]? wanted);
        Assert.True(found == expected && value.Span.SequenceEqual(wanted), $"{where}: {family} {key}");
        byte end = (byte)random.Next(key, Keys + 2);
        using IRecordCursor cursor = tables.OpenCursor(family, [key], end > Keys ? [] : [end]);
        CheckRange(cursor, model, family, key, end > Keys ? byte.MaxValue : end, where);
    }

    private static void CheckAll(
        GatheringTables tables, SortedDictionary<(Family, byte), byte[]> model, string where)
    {
        using IKeyValueSnapshot snapshot = tables.CreateSnapshot();
        for (Family family = Family.Log; family <= Family.System; family++)
        {
            using IRecordCursor cursor = snapshot.OpenCursor(family, [], []);
            CheckRange(cursor, model, family, 0, byte.MaxValue, where);
        }
    }

    private static void CheckRange(
        IRecordCursor cursor, SortedDictionary<(Family Family, byte Key), byte[]> model, Family family, byte from, byte to,
        string where)
    {
        foreach (((Family of, byte key), byte[] value) in model)
        {
            if (of != family || key < from || key >= to) { continue; }
            Assert.True(cursor.MoveNext(), $"{where}: {family} {key} is missing");
            bool isSame = cursor.Key.SequenceEqual([key]) && cursor.Value.SequenceEqual(value);
            Assert.True(isSame, $"{where}: {family} {cursor.Key[0]} instead of {key}, or its value");
        }

        Assert.False(cursor.MoveNext(), $"{where}: {family} has more than {to}");
    }
}
