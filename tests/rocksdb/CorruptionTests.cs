using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

public sealed class CorruptionTests
{
    private const int Keys = 500;

    [Fact]
    public void A_damaged_table_is_Corruption_for_gets_and_iterators()
    {
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        Damage(Directory.GetFiles(path, "*.sst").Single(), offset: 100, count: 64);
        using RocksDatabase database = RocksDatabase.Open(path, new RocksOptions(), []);
        Fails(RocksErrorCode.Corruption, () => database.Get(database.DefaultFamily, Key(0)));
        Fails(RocksErrorCode.Corruption, () => database.Get(database.DefaultFamily, Key(0), new byte[8].AsSpan()));
        Fails(RocksErrorCode.Corruption, () => database.TryGetPinned(database.DefaultFamily, Key(0), out _));
        using RocksIterator iterator = database.CreateIterator(database.DefaultFamily);
        iterator.SeekToFirst();
        Assert.False(iterator.IsValid);
        Fails(RocksErrorCode.Corruption, iterator.ThrowIfFailed);
        // The blocks that are whole still read.
        Assert.NotNull(database.Get(database.DefaultFamily, Key(Keys - 1)));
    }

    [Fact]
    public void A_table_cut_short_is_Corruption_at_opening()
    {
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        using (FileStream table = File.OpenWrite(Directory.GetFiles(path, "*.sst").Single()))
        {
            table.SetLength(table.Length / 2);
        }
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.Open(path, new RocksOptions(), []));
    }

    [Fact]
    public void A_missing_table_is_Corruption_at_opening()
    {
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        File.Delete(Directory.GetFiles(path, "*.sst").Single());
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.Open(path, new RocksOptions(), []));
    }

    [Fact]
    public void A_damaged_manifest_is_Corruption()
    {
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        Damage(Directory.GetFiles(path, "MANIFEST-*").Single(), offset: 10, count: 8);
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.Open(path, new RocksOptions(), []));
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.OpenReadOnly(path, new RocksOptions(), []));
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.ListColumnFamilies(path, new RocksOptions()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("MANIFEST-0000")]
    [InlineData("nonsense\n")]
    public void A_CURRENT_that_names_no_manifest_is_Corruption(string content)
    {
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        File.WriteAllText(Path.Combine(path, "CURRENT"), content);
        Fails(RocksErrorCode.Corruption, () => RocksDatabase.Open(path, new RocksOptions(), []));
    }

    [Fact]
    public void A_log_damaged_in_its_middle_is_Corruption_or_an_older_state_as_the_mode_says()
    {
        using TemporaryFolder folder = new();
        using RocksDatabase source = RocksDatabase.Open(folder["db"], new RocksOptions(), []);
        for (int i = 0; i < Keys; i++) { source.Put(source.DefaultFamily, Key(i), new byte[20]); }
        string path = folder.Copy("db", "damaged");
        Damage(Directory.GetFiles(path, "*.log").Single(), offset: 5_000, count: 4);
        WalRecoveryMode[] strictModes = [WalRecoveryMode.TolerateTornTail, WalRecoveryMode.Absolute];
        foreach (WalRecoveryMode strict in strictModes)
        {
            Fails(RocksErrorCode.Corruption,
                () => RocksDatabase.Open(path, new RocksOptions { WalRecovery = strict }, []));
        }
        using RocksDatabase older = RocksDatabase.Open(
            path, new RocksOptions { WalRecovery = WalRecoveryMode.PointInTime }, []);
        Assert.NotNull(older.Get(older.DefaultFamily, Key(0)));
        Assert.Null(older.Get(older.DefaultFamily, Key(Keys - 1)));
    }

    /// <summary>Any byte of any file may rot: the answer is a right value or a typed error, never a wrong
    /// one.</summary>
    /// <remarks>One gap is RocksDB's own: a record of the manifest whose length reaches past the file's end looks like
    /// one torn by a crash, and is dropped with all that it added. So keys may be absent after a flip there.</remarks>
    [Fact]
    public void A_flipped_bit_anywhere_gives_right_values_or_a_typed_error()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        using TemporaryFolder folder = new();
        string path = Filled(folder);
        string[] names = [.. Directory.GetFiles(path).Select(file => Path.GetFileName(file))
            .Where(name => name is not ("LOCK" or "LOG") && new FileInfo(Path.Combine(path, name)).Length > 0)];
        for (int round = 0; round < 60; round++)
        {
            string copy = folder.Copy("db", $"round-{round}");
            string file = Path.Combine(copy, names[random.Next(names.Length)]);
            byte[] bytes = File.ReadAllBytes(file);
            int bit = random.Next(bytes.Length * 8);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(file, bytes);
            string where = $"seed {seed}, round {round}, {Path.GetFileName(file)} bit {bit}";
            try
            {
                using RocksDatabase database = RocksDatabase.Open(
                    copy, new RocksOptions { CreateIfMissing = false }, []);
                for (int i = 0; i < Keys; i += 7)
                {
                    byte[]? value = database.Get(database.DefaultFamily, Key(i));
                    bool lost = value is null && file.Contains("MANIFEST-", StringComparison.Ordinal);
                    Assert.True(lost || value.AsSpan().SequenceEqual(Value(i)), where);
                }
            }
            catch (RocksException e)
            {
                Assert.True(e.Code != RocksErrorCode.Unknown, $"{where}: {e.Message}");
            }
            Directory.Delete(copy, recursive: true);
        }
    }

    private static string Filled(TemporaryFolder folder)
    {
        using RocksDatabase database = RocksDatabase.Open(folder["db"], new RocksOptions(), []);
        for (int i = 0; i < Keys; i++) { database.Put(database.DefaultFamily, Key(i), Value(i)); }
        database.Flush(database.DefaultFamily);
        return folder["db"];
    }

    private static byte[] Key(int number) => $"key {number:d6}".B();

    private static byte[] Value(int number) => $"value {number:d6} {new string('v', 100)}".B();

    private static void Damage(string file, int offset, int count)
    {
        byte[] bytes = File.ReadAllBytes(file);
        Assert.True(bytes.Length > offset + count);
        for (int i = offset; i < offset + count; i++) { bytes[i] ^= 0xff; }
        File.WriteAllBytes(file, bytes);
    }
}
