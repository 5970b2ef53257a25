using System.Text;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation;

/// <summary>What a start makes of a journal that was damaged, forged, or met a failing disk.</summary>
public sealed class JournalRecoveryTests : IDisposable
{
    private const int SegmentBytes = 24 << 10;
    private const string Folder = JournaledKeyValueStore.JournalFolder;

    private readonly SimulatedDisk disk = new(1L << 30);
    private readonly SimulatedTables tables = new(new());
    private readonly KeyValueBatch batch = new();
    private ulong drawn;

    /// <summary>Draws numbers that follow from one another: tests can know them.</summary>
    private JournalOptions Options => new()
    {
        SegmentBytes = SegmentBytes, MaxBytes = 8 * SegmentBytes, FlushBytes = 8 * SegmentBytes, GatheredChanges = 1,
        MaxPayloadBytes = 3 * SegmentBytes, Draw = () => ++drawn,
    };

    public void Dispose() => tables.Dispose();

    [Fact]
    public void A_segment_that_is_gone_from_the_middle_is_refused_and_the_last_one_is_not_missed()
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 60);
        SimulatedDisk middle = disk.AfterKill();
        Assert.Equal(Status.Ok, middle.DeleteFile($"{Folder}/2.segment"));
        StorageException refused = Refused(middle);
        Assert.Equal(Status.Corrupt, refused.Status);
        Assert.Contains("is damaged: record ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("1.segment", refused.Message, StringComparison.Ordinal);

        // The commands that give up what is behind: the files after the first go.
        foreach (string name in Segments(middle).Where(static name => name != "1.segment"))
        {
            Assert.Equal(Status.Ok, middle.DeleteFile($"{Folder}/{name}"));
        }

        Assert.InRange(Count(middle), 10, 40);
    }

    [Fact]
    public void A_folder_that_is_gone_is_refused_and_an_empty_one_is_taken()
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 5);
        SimulatedDisk bare = new(1L << 30);
        Assert.Contains("is gone", Refused(bare).Message, StringComparison.Ordinal);
        Assert.Equal(Status.Ok, bare.CreateDirectory(Folder));
        Assert.Equal(0, Count(bare));
    }

    [Fact]
    public void A_file_that_is_cut_newer_foreign_or_none_of_a_journal_is_refused_by_name()
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 5);
        SimulatedDisk cut = disk.AfterKill();
        cut.File($"{Folder}/1.segment").SetLength(SegmentBytes - 1);
        Assert.Contains($"has {SegmentBytes - 1} bytes instead of {SegmentBytes}", Refused(cut).Message, StringComparison.Ordinal);

        SimulatedDisk garbage = disk.AfterKill();
        Assert.Equal(Status.Ok, garbage.Create($"{Folder}/9.segment", out IDiskFile? file));
        Assert.Equal(Status.Ok, file!.Write(0, Encoding.UTF8.GetBytes(new string('x', 10_000))));
        Assert.Contains("9.segment", Refused(garbage).Message, StringComparison.Ordinal);

        SimulatedDisk newer = disk.AfterKill();
        WriteHeader(newer, static header => header[8] = 2);
        Assert.Equal(Status.NotSupported, Refused(newer).Status);

        SimulatedDisk foreign = disk.AfterKill();
        WriteHeader(foreign, static header => header[32] ^= 1);
        Assert.Contains("belongs to another", Refused(foreign).Message, StringComparison.Ordinal);

        SimulatedDisk crowded = disk.AfterKill();
        Assert.Equal(Status.Ok, crowded.Create($"{Folder}/notes.txt", out _));
        Assert.Equal(Status.Ok, crowded.Create($"{Folder}/7.new", out _));
        Assert.Equal(5, Count(crowded));
        List<string> names = [];
        Assert.Equal(Status.Ok, crowded.List(Folder, names));
        Assert.Contains("notes.txt", names);
        Assert.DoesNotContain("7.new", names);
    }

    [Fact]
    public void One_header_that_rotted_takes_nothing()
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 5);
        foreach (int place in (int[])[20, SegmentBytes - JournalFormat.PageBytes + 20])
        {
            SimulatedDisk rotten = disk.AfterKill();
            rotten.File($"{Folder}/1.segment").Rot(place);
            Assert.Equal(5, Count(rotten));
        }
    }

    /// <remarks>Bytes of files are in records. Behind a torn one they are looked through for records that are whole: that one
    /// who knew the salt could place them there is what the salt is for.</remarks>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Bytes_of_a_file_that_look_like_a_record_are_none_as_long_as_nobody_knows_the_salt(bool isKnown)
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 3);
        byte[] forged = new byte[JournalFormat.SizeOf(0)];
        JournalFormat.WriteRecord(forged, isKnown ? drawn : 0, new(0, 0, 1000, 999), []);
        byte[] value = [.. Enumerable.Range(0, 80).SelectMany(shift => new byte[shift % 8 == 0 ? 1 : 0].Concat(forged))];
        batch.Clear();
        batch.Put(Family.Log, [9], value);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        SimulatedDisk torn = disk.AfterKill();
        torn.File($"{Folder}/1.segment").Rot(End(torn) - value.Length);
        if (isKnown) { Assert.Contains("is damaged: record 4", Refused(torn).Message, StringComparison.Ordinal); }
        else { Assert.Equal(3, Count(torn)); }
    }

    [Fact]
    public void A_large_batch_gets_a_file_of_its_own_and_a_larger_one_is_refused()
    {
        JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 3);
        batch.Clear();
        batch.Put(Family.Log, [3], new byte[2 * SegmentBytes]);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        batch.Clear();
        batch.Put(Family.Log, [4], new byte[3 * SegmentBytes]);
        Assert.Equal(Status.TooLarge, store.Write(batch, logged: true));
        Assert.False(store.IsFailed);
        Assert.Equal(4, Count(disk.AfterKill()));
        store.Dispose();

        // Once the tables have it, its file goes.
        using JournaledKeyValueStore next = OpenOn(disk, tables);
        Fill(next, 60);
        Assert.All(Segments(disk), name => Assert.Equal(SegmentBytes, disk.File($"{Folder}/{name}").Length));
    }

    [Fact]
    public void Large_batches_in_a_row_take_turns_where_there_is_no_room_for_two()
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(
            tables, disk, Options with { MaxBytes = 4 * SegmentBytes }, hasKeeper: false);
        for (byte i = 0; i < 5; i++)
        {
            batch.Clear();
            batch.Put(Family.Log, [i], new byte[2 * SegmentBytes]);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
            Assert.Equal(Status.Ok, store.SyncLog());
            Assert.InRange(Segments(disk).Sum(name => disk.File($"{Folder}/{name}").Length), 1, 4 * SegmentBytes);
        }

        Assert.Equal(5, Count(disk.AfterPowerCut(new Random(1))));
    }

    [Fact]
    public void Records_that_were_taken_back_are_not_missed_once_their_file_is_used_again()
    {
        const int Large = SegmentBytes / 2;
        JournalOptions oneFile = Options with { MaxBytes = SegmentBytes, MaxPayloadBytes = SegmentBytes / 2 };
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(tables, disk, oneFile, hasKeeper: false);
        Fill(store, 15);
        tables.Store.Ask = static isSync => isSync ? Status.Ok : Status.NoSpace;
        for (int refused = 0; refused < 3; refused++) { Assert.Equal(Status.NoSpace, Put(store, 200, 110)); }

        // There is room again. The file has too little left for this one, so that it is flushed, and begun anew.
        tables.Store.Ask = static _ => Status.Ok;
        Assert.Equal(Status.Ok, Put(store, 15, Large));
        Assert.Equal(Status.Ok, store.SyncLog());
        Assert.Equal(16, Count(disk.AfterPowerCut(new Random(1))));
    }

    private Status Put(JournaledKeyValueStore store, byte key, int bytes)
    {
        batch.Clear();
        batch.Put(Family.Log, [key], new byte[bytes - 100]);
        return store.Write(batch, logged: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_failed_append_or_sync_latches_and_is_never_tried_again(bool isSync)
    {
        using JournaledKeyValueStore store = OpenOn(disk, tables);
        Fill(store, 2);
        disk.Ask = operation => operation == (isSync ? DiskOperation.Sync : DiskOperation.Write) ? Status.IoError : Status.Ok;
        batch.Clear();
        batch.Put(Family.Log, [9], [9]);
        Assert.Equal(isSync ? Status.Ok : Status.IoError, store.Write(batch, logged: true));
        Assert.Equal(Status.IoError, store.SyncLog());
        disk.Ask = static _ => Status.Ok;
        Assert.True(store.IsFailed);
        Assert.Equal(Status.IoError, store.SyncLog());
        Assert.Equal(Status.IoError, store.Write(batch, logged: false));
        Assert.True(store.TryGet(Family.Log, [0], new ByteBuffer()));
    }

    [Fact]
    public void A_disk_without_room_for_the_first_file_refuses_and_goes_on_later()
    {
        SimulatedDisk small = new(2 * JournalFormat.PageBytes);
        using JournaledKeyValueStore store = OpenOn(small, tables);
        batch.Clear();
        batch.Put(Family.Log, [0], [0]);
        Assert.Equal(Status.NoSpace, store.Write(batch, logged: true));
        Assert.False(store.IsFailed);
        Assert.Empty(Segments(small));
    }

    private JournaledKeyValueStore OpenOn(SimulatedDisk ofDisk, SimulatedTables ofTables) =>
        JournaledKeyValueStore.Open(ofTables, ofDisk, Options, hasKeeper: false);

    private StorageException Refused(SimulatedDisk left) =>
        Assert.Throws<StorageException>(() => OpenOn(left, new(tables.Store.AfterKill())));

    /// <summary>How many of the writes of <see cref="Fill"/> a start finds: the first ones.</summary>
    private int Count(SimulatedDisk left)
    {
        using JournaledKeyValueStore store = OpenOn(left, new(tables.Store.AfterKill()));
        int count = 0;
        while (store.TryGet(Family.Log, [(byte)count], new ByteBuffer())) { count++; }
        return count;
    }

    /// <summary>Writes values of some hundred bytes, and syncs each.</summary>
    private void Fill(JournaledKeyValueStore store, int count)
    {
        for (int i = 0; i < count; i++)
        {
            batch.Clear();
            batch.Put(Family.Log, [(byte)i], new byte[700]);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
            Assert.Equal(Status.Ok, store.SyncLog());
        }
    }

    private static List<string> Segments(SimulatedDisk of)
    {
        List<string> names = [];
        Assert.Equal(Status.Ok, of.List(Folder, names));
        return [.. names.Where(static name => name.EndsWith(".segment", StringComparison.Ordinal))];
    }

    /// <summary>Changes both headers of the first segment, and their checksums with them.</summary>
    private static void WriteHeader(SimulatedDisk of, Action<byte[]> change)
    {
        SimulatedFile file = of.File($"{Folder}/1.segment");
        foreach (int place in (int[])[0, SegmentBytes - JournalFormat.PageBytes])
        {
            byte[] header = new byte[JournalFormat.HeaderBytes];
            file.Read(place, header);
            change(header);
            BitConverter.GetBytes(Crc32C.Compute(header.AsSpan(0, 60))).CopyTo(header, 60);
            file.Write(place, header);
        }
    }

    /// <summary>Where the first segment's last byte that is not zero is, headers aside.</summary>
    private static int End(SimulatedDisk of)
    {
        byte[] bytes = new byte[SegmentBytes - JournalFormat.PageBytes];
        of.File($"{Folder}/1.segment").Read(0, bytes);
        return bytes.AsSpan().LastIndexOfAnyExcept((byte)0);
    }
}
