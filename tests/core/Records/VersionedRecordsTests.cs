using System.Text;

namespace KvFs.Core.Tests.Records;

/// <summary>Transactions, views and cursors over versions, history, whiteouts and chains of clones, against maps that are
/// copied whole at every version.</summary>
public sealed class VersionedRecordsTests
{
    [Fact]
    public void Every_version_of_every_drive_shows_what_a_naive_copy_of_it_shows()
    {
        for (int seed = 1; seed <= 40; seed++)
        {
            try { new Life(seed).Run(150); }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"KVFS_SEED={seed}: {failure.Message}", failure);
            }
        }
    }

    [Fact]
    public void A_transaction_that_is_not_built_leaves_nothing_behind()
    {
        TestDrive drive = new();
        int records = drive.Records.All.Count;
        Assert.Equal(Status.Conflict, drive.Run(t =>
        {
            RecordKey key = RecordKey.Xattr(new(5), "a"u8);
            t.Put(ref key, "1"u8);
            return Status.Conflict;
        }));
        Assert.Equal(Status.Ok, drive.Run(t =>
        {
            RecordKey key = RecordKey.Xattr(new(5), "a"u8);
            return t.TryGet(ref key, new ByteBuffer()) ? Status.Exists : Status.Ok;
        }));
        Assert.Equal(records, drive.Records.All.Count);
    }

    [Fact]
    public void Without_anybody_to_see_it_a_rewritten_record_leaves_no_history()
    {
        TestDrive drive = new();
        int records = drive.Records.All.Count;
        for (int i = 0; i < 5; i++)
        {
            drive.Run(t =>
            {
                RecordKey key = RecordKey.Xattr(new(5), "a"u8);
                t.Put(ref key, "1"u8);
                return Status.Ok;
            });
        }

        Assert.Equal(records + 1, drive.Records.All.Count);
    }

    [Fact]
    public void What_is_written_twice_between_two_snapshots_is_kept_once()
    {
        TestDrive drive = new();
        void Write(string value) => drive.Run(t =>
        {
            RecordKey key = RecordKey.Xattr(new(5), "a"u8);
            t.Put(ref key, Encoding.UTF8.GetBytes(value));
            return Status.Ok;
        });
        Write("1");
        drive.Snapshot("s1");
        int records = drive.Records.All.Count;
        Write("2");
        Write("3");
        Write("4");
        Assert.Equal(records + 1, drive.Records.All.Count);
        drive.Snapshot("s2");
        Write("5");
        Assert.Equal(records + 3, drive.Records.All.Count);
    }

    /// <summary>A record as a version shows it.</summary>
    private readonly record struct Shown(string Value, CowNumber Written);

    /// <summary>One drive, and a whole map for its present and for each retained version.</summary>
    private sealed class VersionedDrive(TestDrive drive)
    {
        public TestDrive Drive { get; } = drive;

        public SortedDictionary<string, Shown> Head { get; init; } = new(StringComparer.Ordinal);

        public SortedDictionary<string, (CowNumber At, SortedDictionary<string, Shown> Map)> Snapshots { get; } =
            new(StringComparer.Ordinal);
    }

    private sealed class Life
    {
        private static readonly VNodeId[] Nodes = [new(7), new(8), new(256)];
        private readonly Random random;
        private readonly List<VersionedDrive> drives = [];
        private readonly string[] names;
        private int lastSnapshot;

        public Life(int seed)
        {
            random = new(seed);
            drives.Add(new(new TestDrive()));

            // Short, nested and with the least and greatest bytes that a name may have: what ends and begins a range.
            names = ["a", "ab", "abc", "b", "\u0001", "\u00FF\u00FF", new('x', 200)];
        }

        public void Run(int steps)
        {
            for (int step = 0; step < steps; step++)
            {
                VersionedDrive drive = drives[random.Next(drives.Count)];
                switch (random.Next(20))
                {
                    case < 13: Write(drive); break;
                    case < 15: Snapshot(drive); break;
                    case < 17: DeleteSnapshot(drive); break;
                    case < 18: Clone(drive); break;
                    default: Reap(drive); break;
                }

                if (step % 5 == 4)
                {
                    foreach (VersionedDrive each in drives) { Check(each); }
                }
            }
        }

        private void Write(VersionedDrive drive)
        {
            SortedDictionary<string, Shown> map = new(drive.Head, StringComparer.Ordinal);
            bool keeps = random.Next(5) > 0;
            Status status = drive.Drive.Run(t =>
            {
                for (int i = random.Next(1, 6); i > 0; i--)
                {
                    (RecordKey key, string text) = Key();
                    if (random.Next(3) == 0)
                    {
                        t.Delete(ref key);
                        map.Remove(text);
                    }
                    else
                    {
                        string value = $"{random.Next(1000)}";
                        t.Put(ref key, Encoding.UTF8.GetBytes(value));
                        map[text] = new(value, t.Cow);
                    }

                    CheckRange(map, t);
                    if (random.Next(4) == 0) { DeleteWhileWalking(map, t); }
                }

                return keeps ? Status.Ok : Status.Conflict;
            });
            if (status != Status.Ok) { return; }
            drive.Head.Clear();
            foreach ((string key, Shown shown) in map) { drive.Head.Add(key, shown); }
        }

        /// <summary>Deletes each second record of a range while a cursor is on it.</summary>
        private void DeleteWhileWalking(SortedDictionary<string, Shown> map, DriveTransaction transaction)
        {
            (RecordKey from, RecordKey to) = Range();
            string[] expected = [.. map.Keys.Where(key => IsIn(key, from, to))];
            int at = 0;
            using DriveCursor cursor = transaction.Walk(from, to);
            while (cursor.MoveNext())
            {
                string text = Convert.ToHexString(cursor.Key);
                Assert.Equal(expected[at], text);
                if (at++ % 2 == 0)
                {
                    RecordKey key = RecordKey.FromRelative(cursor.Key);
                    transaction.Delete(ref key);
                    map.Remove(text);
                }
            }

            Assert.Equal(expected.Length, at);
        }

        private void Snapshot(VersionedDrive drive)
        {
            if (drive.Snapshots.Count >= 4) { return; }
            string name = $"s{++lastSnapshot}";
            CowNumber at = drive.Drive.Snapshot(name);
            drive.Snapshots.Add(name, (at, new(drive.Head, StringComparer.Ordinal)));
        }

        private void DeleteSnapshot(VersionedDrive drive)
        {
            if (drive.Snapshots.Count == 0) { return; }
            string name = drive.Snapshots.Keys.ElementAt(random.Next(drive.Snapshots.Count));
            Assert.Equal(Status.Ok, drive.Drive.Run(t => Core.DeleteSnapshot.Apply(name, t)));
            drive.Snapshots.Remove(name);
        }

        private void Clone(VersionedDrive origin)
        {
            if (drives.Count >= 5) { return; }
            string? snapshot = null;
            SortedDictionary<string, Shown> map = origin.Head;
            if (origin.Snapshots.Count > 0 && random.Next(2) == 0)
            {
                snapshot = origin.Snapshots.Keys.ElementAt(random.Next(origin.Snapshots.Count));
                map = origin.Snapshots[snapshot].Map;
            }

            DriveId id = new((UInt128)(drives.Count + 1));
            Assert.Equal(Status.Ok, origin.Drive.Clone(id, $"clone{id.Value}", snapshot, out TestDrive? clone));
            drives.Add(new(clone!) { Head = new(map, StringComparer.Ordinal) });
        }

        private static void Reap(VersionedDrive drive) => drive.Drive.RunSteps(t =>
        {
            Assert.Equal(Status.Ok, ReapHistory.Apply(t, out bool more));
            return more;
        });

        private void Check(VersionedDrive drive)
        {
            Check(drive.Head, drive.Drive.Head);
            foreach ((CowNumber at, SortedDictionary<string, Shown> map) in drive.Snapshots.Values)
            {
                Check(map, drive.Drive.ViewAt(at));
            }
        }

        private void Check(SortedDictionary<string, Shown> map, DriveView view)
        {
            CheckRange(map, view);
            ByteBuffer payload = new();
            foreach (VNodeId node in Nodes)
            {
                foreach (string name in names)
                {
                    RecordKey key = RecordKey.Xattr(node, Encoding.Latin1.GetBytes(name));
                    bool exists = map.TryGetValue(Convert.ToHexString(key.Relative), out Shown shown);
                    Assert.Equal(exists, view.TryGet(ref key, payload, out RecordHeader header));
                    if (!exists) { continue; }
                    Assert.Equal(shown, new(Encoding.UTF8.GetString(payload.Span), header.Written));
                }
            }
        }

        private void CheckRange(SortedDictionary<string, Shown> map, DriveView view)
        {
            (RecordKey from, RecordKey to) = Range();
            List<(string, Shown)> found = [];
            using (DriveCursor cursor = view.Walk(from, to))
            {
                while (cursor.MoveNext())
                {
                    string value = Encoding.UTF8.GetString(cursor.Payload);
                    found.Add((Convert.ToHexString(cursor.Key), new(value, cursor.Header.Written)));
                }
            }

            Assert.Equal(map.Where(pair => IsIn(pair.Key, from, to)).Select(pair => (pair.Key, pair.Value)), found);
        }

        private static bool IsIn(string key, RecordKey from, RecordKey to)
        {
            byte[] bytes = Convert.FromHexString(key);
            return bytes.AsSpan().SequenceCompareTo(from.Relative) >= 0
                && bytes.AsSpan().SequenceCompareTo(to.Relative) < 0;
        }

        /// <summary>All, those of one VNode, or from one key to another.</summary>
        private (RecordKey From, RecordKey To) Range()
        {
            RecordKey from = RecordKey.Single(RecordKind.Xattr);
            switch (random.Next(3))
            {
                case 0: break;
                case 1: from = RecordKey.XattrsOf(Nodes[random.Next(Nodes.Length)]); break;
                default:
                    RecordKey one = Key().Key;
                    RecordKey other = Key().Key;
                    return one.Relative.SequenceCompareTo(other.Relative) < 0 ? (one, other) : (other, one);
            }

            RecordKey to = from;
            to.ToPrefixEnd();
            return (from, to);
        }

        private (RecordKey Key, string Text) Key()
        {
            byte[] name = Encoding.Latin1.GetBytes(names[random.Next(names.Length)]);
            RecordKey key = RecordKey.Xattr(Nodes[random.Next(Nodes.Length)], name);
            return (key, Convert.ToHexString(key.Relative));
        }
    }
}
