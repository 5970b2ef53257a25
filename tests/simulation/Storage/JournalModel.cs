using System.Buffers.Binary;
using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>What was written to a journaled store, moment by moment, and the check that what is found is one of them.</summary>
/// <remarks>Logged writes change the <c>ns</c> family and count themselves there; unlogged ones the <c>block</c> family. So
/// what is found says itself which moment it is.</remarks>
internal sealed class JournalModel
{
    private const int Keys = 12;

    /// <summary>The content after so many logged, or unlogged, writes.</summary>
    private readonly List<ImmutableSortedDictionary<int, byte[]>>[] moments =
        [[ImmutableSortedDictionary<int, byte[]>.Empty], [ImmutableSortedDictionary<int, byte[]>.Empty]];

    /// <summary>Logged writes that had returned when so many unlogged ones had.</summary>
    private readonly List<int> loggedBefore = [0];

    private ImmutableSortedDictionary<int, byte[]>? underWay;
    private bool isUnderWayLogged;

    /// <summary>Logged writes that returned.</summary>
    internal int Logged => moments[0].Count - 1;

    /// <summary>Of them, how many were synced.</summary>
    internal int Synced { get; private set; }

    /// <summary>How many had been synced when the last one was written.</summary>
    internal int SyncedAtLast { get; private set; }

    /// <summary>Draws a write into a batch; <see cref="OnWritten"/> says how it ended.</summary>
    internal void Begin(Random chance, bool logged, int maxValueBytes, KeyValueBatch batch)
    {
        Family family = logged ? Family.Namespace : Family.Block;
        ImmutableSortedDictionary<int, byte[]> content = moments[logged ? 0 : 1][^1];
        batch.Clear();
        for (int changes = chance.Next(1, 4); changes > 0; changes--)
        {
            int key = chance.Next(1, Keys);
            int end = chance.Next(key, Keys);
            switch (chance.Next(6))
            {
                case 0:
                    batch.Delete(family, [(byte)key]);
                    content = content.Remove(key);
                    break;
                case 1:
                    batch.DeleteRange(family, [(byte)key], [(byte)end]);
                    content = content.RemoveRange(content.Keys.Where(one => one >= key && one < end));
                    break;
                default:
                    byte[] value = new byte[chance.Next(maxValueBytes)];
                    chance.NextBytes(value);
                    batch.Put(family, [(byte)key], value);
                    content = content.SetItem(key, value);
                    break;
            }
        }

        byte[] count = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(count, moments[logged ? 0 : 1].Count);
        batch.Put(family, [0], count);
        underWay = content.SetItem(0, count);
        isUnderWayLogged = logged;
        if (logged) { SyncedAtLast = Synced; }
    }

    internal void OnWritten(bool isApplied)
    {
        if (isApplied)
        {
            moments[isUnderWayLogged ? 0 : 1].Add(underWay!);
            if (!isUnderWayLogged) { loggedBefore.Add(Logged); }
        }

        underWay = null;
    }

    internal void OnSynced() => Synced = Logged;

    /// <summary>Compares what is found with every moment that a crash may leave.</summary>
    /// <param name="store">What is found.</param>
    /// <param name="atLeast">Logged writes that must be there.</param>
    /// <exception cref="InvalidOperationException">A promise is broken.</exception>
    internal void Check(IKeyValueReader store, int atLeast)
    {
        int logged = Find(store, Family.Namespace, moments[0], isUnderWayLogged);
        int unlogged = Find(store, Family.Block, moments[1], !isUnderWayLogged);
        Require(logged >= atLeast, $"{logged} logged writes are there, of {atLeast} that must be");
        Require(
            unlogged == loggedBefore.Count || loggedBefore[unlogged] <= logged,
            $"unlogged write {unlogged} is there, and logged ones before it are not");
    }

    /// <summary>Goes on with what was found, and checked.</summary>
    internal void Adopt(IKeyValueReader store)
    {
        for (int kind = 0; kind < moments.Length; kind++)
        {
            bool isOfKind = isUnderWayLogged == (kind == 0);
            int found = Find(store, kind == 0 ? Family.Namespace : Family.Block, moments[kind], isOfKind);
            if (found == moments[kind].Count)
            {
                moments[kind].Add(underWay!);
                if (kind == 1) { loggedBefore.Add(Logged); }
            }

            moments[kind].RemoveRange(found + 1, moments[kind].Count - found - 1);
        }

        loggedBefore.RemoveRange(moments[1].Count, loggedBefore.Count - moments[1].Count);
        underWay = null;
        Synced = Logged;
        SyncedAtLast = Logged;
    }

    private int Find(
        IKeyValueReader store, Family family, List<ImmutableSortedDictionary<int, byte[]>> known, bool isUnderWayHere)
    {
        ByteBuffer value = new();
        int moment = store.TryGet(family, [0], value) ? BinaryPrimitives.ReadInt32LittleEndian(value.Span) : 0;
        ImmutableSortedDictionary<int, byte[]>? expected = moment < known.Count ? known[moment]
            : moment == known.Count && isUnderWayHere ? underWay : null;
        Require(expected is not null, $"write {moment} of {family} is there, which was refused or never made");
        using IRecordCursor cursor = store.OpenCursor(family, [], []);
        foreach ((int key, byte[] content) in expected!)
        {
            Require(cursor.MoveNext() && cursor.Key.SequenceEqual([(byte)key]), $"{family} {moment}: key {key} is not there");
            Require(cursor.Value.SequenceEqual(content), $"{family} {moment}: key {key} has another value");
        }

        Require(!cursor.MoveNext(), $"{family} {moment}: more keys than were written");
        return moment;
    }

    private static void Require(bool holds, string broken)
    {
        if (!holds) { throw new InvalidOperationException(broken); }
    }
}
