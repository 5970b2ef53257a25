using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <summary>All drives of this node: loads them at start, makes and forgets them, finds them by name and id.</summary>
/// <remarks>Lookups are for any thread. Changes to the set of drives are one at a time (<see cref="Changes"/>). Lock order:
/// changes, then the gate of an origin's shard.</remarks>
public sealed class DriveHost
{
    private readonly IKeyValueStore store;
    private readonly BlockStore blocks;
    private readonly Shard[] shards;
    private readonly IDriveWork work;
    private readonly TimeProvider clock;
    private readonly Func<DateTimeOffset, Guid> drawId;
    private readonly FamilyReader records;

    /// <summary>By shard: all its drives are known. Under <see cref="Changes"/>.</summary>
    private readonly bool[] isOpen;
    private int takingUp;
    private long moves;
    private ImmutableDictionary<DriveId, HostedDrive> drives = ImmutableDictionary<DriveId, HostedDrive>.Empty;

    public DriveHost(
        IKeyValueStore store,
        BlockStore blocks,
        ImmutableArray<Shard> shards,
        IDriveWork work,
        TimeProvider clock,
        Func<DateTimeOffset, Guid>? drawId = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        this.store = store;
        this.blocks = blocks;
        this.shards = [.. shards];
        isOpen = new bool[shards.Length];
        this.work = work;
        this.clock = clock;
        this.drawId = drawId ?? Guid.CreateVersion7;
        records = store.Reader(Family.Namespace);
    }

    /// <summary>Held by whoever changes the set of drives.</summary>
    public Lock Changes { get; } = new();

    /// <summary>The drives, hidden ones included, ascending by RUID.</summary>
    public IEnumerable<HostedDrive> All => Volatile.Read(ref drives).Values.OrderBy(static drive => drive.Id);

    /// <summary>Requests of clients since the start, of the drives that are there.</summary>
    public long Requests => Volatile.Read(ref drives).Values.Sum(static drive => drive.Requests);

    public IRecordReader Records => records;

    /// <summary>Who has which name, as the loaded drives have it: a damaged record of one is not in another's way.</summary>
    public DriveCatalog Catalog => DriveCatalog.Of(All.Select(static drive => new DriveEntry(drive.Id, drive.State.Policy)));

    public Timestamp Now => Timestamp.At(clock.GetUtcNow());

    /// <summary>Opens every drive that the records name.</summary>
    /// <exception cref="StorageException">A drive's records or its blocks cannot be read; the message says which.
    /// </exception>
    public void Load()
    {
        foreach (DriveEntry entry in ReadCatalog().Entries) { Load(entry); }
        DropEmptyLeftovers();
    }

    /// <summary>All drives of which there are records here, whoever serves them, by RUID.</summary>
    /// <exception cref="StorageException">A drive's record cannot be used.</exception>
    public IReadOnlyList<DriveEntry> ListRecorded() => ReadCatalog().Entries;

    /// <summary>The drive of a name; null if there is none that its user has not deleted.</summary>
    public HostedDrive? Find(string name)
    {
        foreach (HostedDrive drive in All)
        {
            DrivePolicy policy = drive.State.Policy;
            if (policy.Name == name && (policy.Flags & (DriveFlags.Hidden | DriveFlags.Deleting)) == 0) { return drive; }
        }

        return null;
    }

    /// <summary>A drive by its id, hidden ones included; null if there is none.</summary>
    public HostedDrive? Find(DriveId id) => Volatile.Read(ref drives).GetValueOrDefault(id);

    /// <summary>The shard that orders a drive's transactions.</summary>
    public Shard HomeOf(DriveId id) => HomeOf(HomeShard.Of(id, shards.Length));

    /// <summary>Of several nodes: the shards that this one serves, all drives of which it knows.</summary>
    public IReadOnlyList<ShardId> ServedShards()
    {
        lock (Changes) { return [.. shards.Where(shard => isOpen[shard.Id.Value] && shard.CanServe).Select(static shard => shard.Id)]; }
    }

    /// <summary>The shards, as this node has them now.</summary>
    public IEnumerable<Shard> Shards => shards;

    /// <summary>Draws an id for a new drive: for a clone, one that lives on its origin's home shard; among several nodes, one that
    /// lives where its name belongs.</summary>
    public DriveId DrawId(string name, DriveId? origin)
    {
        int? wanted = origin is { } from ? HomeShard.Of(from, shards.Length).Value
            : IsOneOfSeveral ? HomeShard.OfName(name, shards.Length).Value
            : null;
        Span<byte> bytes = stackalloc byte[DriveId.Size];
        while (true)
        {
            drawId(clock.GetUtcNow()).TryWriteBytes(bytes, bigEndian: true, out _);
            DriveId id = DriveId.Read(bytes);
            if (Find(id) is null && (wanted is null || HomeShard.Of(id, shards.Length).Value == wanted)) { return id; }
        }
    }

    /// <summary>Other nodes have drives, too: shards come and go.</summary>
    public bool IsOneOfSeveral { get; init; }

    /// <summary>Whether all shards that this node is primary of are taken up: if not, it may have a drive that it does not know yet.
    /// </summary>
    public Func<bool> KnowsAll { get; set; } = static () => true;

    /// <summary>Whether this node is primary of a shard in the newest pool map that it knows: it serves it, or will in a moment.</summary>
    public Func<ShardId, bool> IsToServe { get; set; } = static _ => false;

    /// <summary>A drive by its name, as <see cref="Find(string)"/>; if there is none, why: NotFound; StaleEpoch: it may be known in a moment.
    /// </summary>
    public HostedDrive? Find(string name, out Status why)
    {
        long? before = Settled();
        HostedDrive? found = Find(name);
        why = WhyNotFound(found, before);
        return found;
    }

    /// <summary>The same, by its id.</summary>
    public HostedDrive? Find(DriveId id, out Status why)
    {
        long? before = Settled();
        HostedDrive? found = Find(id);
        why = WhyNotFound(found, before);
        return found;
    }

    /// <summary>All drives that this node is to serve are known: what is not among them is not here.</summary>
    public bool IsSettled => Settled() is not null;

    /// <summary>If all drives that this node is to serve are known: a number that changes when a shard comes or goes. What was looked for
    /// between two that are the same, and was not there, is not here.</summary>
    public long? Settled()
    {
        long now = Volatile.Read(ref moves);
        return Volatile.Read(ref takingUp) == 0 && KnowsAll() && Volatile.Read(ref moves) == now ? now : null;
    }

    /// <summary>Takes a drive up whose first transaction is committed. With <see cref="Changes"/> held, or with the gate of its
    /// shard, for one that was committed late.</summary>
    /// <param name="home">The shard that committed it. If this node serves that one no more, whoever does has the drive.</param>
    /// <param name="state">Of the drive.</param>
    /// <param name="counters">Of the drive.</param>
    public HostedDrive Add(Shard home, DriveState state, DriveCounters counters)
    {
        ArgumentNullException.ThrowIfNull(state);
        HostedDrive drive = New(home, state, counters);
        bool isAdded = HomeOf(state.Drive) == home && ImmutableInterlocked.TryAdd(ref drives, state.Drive, drive);
        Invariant.Check(isAdded || IsOneOfSeveral);
        return drive;
    }

    /// <summary>Is told of sessions of the primary before that go on here, before anybody can find their drive; null: they are ended.
    /// </summary>
    public Action<HostedDrive, IReadOnlyList<AdoptedSession>>? Adopted { get; set; }

    /// <summary>Is called when drives have come, or gone.</summary>
    public Action Moved { get; set; } = static () => { };

    /// <summary>Whether a drive that is not served here may be in a moment.</summary>
    public bool IsComing(DriveId drive) => IsOneOfSeveral && IsToServe(HomeShard.Of(drive, shards.Length));

    /// <summary>A session of any drive that this node has records of, whether or not it serves it; null: they know none.</summary>
    public SessionRecord? FindSession(DriveId drive, SessionId session)
    {
        try
        {
            return SessionRecord.TryGet(session, new StoredDriveView(records, [new(drive, CowNumber.Head)]), out SessionRecord found) ? found : null;
        }
        catch (RecordCorruptException)
        {
            return null;
        }
    }

    /// <summary>What is answered to a session that is not known here. SessionExpired: there is none; StaleEpoch: it may be elsewhere,
    /// or here in a moment.</summary>
    /// <param name="drive">Its drive.</param>
    /// <param name="before">What <see cref="Settled"/> said before the session was looked for.</param>
    public Status WhyNoSession(DriveId drive, long? before) =>
        !IsOneOfSeveral || (HomeOf(drive).CanServe && IsStill(before)) ? Status.SessionExpired : Status.StaleEpoch;

    /// <summary>This node has become primary of a shard: opens its drives.</summary>
    /// <param name="shard">The shard.</param>
    /// <param name="loss">That it once began anew without what was acknowledged: ids go on above what may have been handed out.</param>
    /// <returns>Why drives could not be opened, for people; what could be is open.</returns>
    public IReadOnlyList<string> TakeUp(Shard shard, ShardLoss? loss)
    {
        ArgumentNullException.ThrowIfNull(shard);
        Interlocked.Increment(ref takingUp);
        Interlocked.Increment(ref moves);
        try
        {
            lock (Changes) { Volatile.Write(ref shards[shard.Id.Value], shard); }
            List<string> troubles = OpenDrivesOf(shard, loss);
            lock (Changes) { isOpen[shard.Id.Value] = HomeOf(shard.Id) == shard; }
            return troubles;
        }
        finally
        {
            Interlocked.Decrement(ref takingUp);
        }
    }

    private Status WhyNotFound(HostedDrive? found, long? before) =>
        found is not null ? Status.Ok : IsStill(before) ? Status.NotFound : Status.StaleEpoch;

    private bool IsStill(long? before) => before is not null && Settled() == before;

    private List<string> OpenDrivesOf(Shard shard, ShardLoss? loss)
    {
        List<string> troubles = [];
        foreach (DriveEntry entry in ReadCatalog().Entries)
        {
            if (HomeShard.Of(entry.Drive, shards.Length) != shard.Id) { continue; }
            try
            {
                HostedDrive drive = Open(shard, entry, loss);
                DriveRestore.Finish(drive);
                if (Adopted is { } adopted) { adopted(drive, drive.AdoptSessions()); }
                else { drive.EndOldSessions(); }
                lock (Changes)
                {
                    if (HomeOf(drive.Id) != shard)
                    {
                        drive.LetGo();
                        return troubles;
                    }

                    Invariant.Check(ImmutableInterlocked.TryAdd(ref drives, drive.Id, drive));
                }

                Moved();
            }
            catch (StorageException failed)
            {
                troubles.Add(failed.Message);
            }
        }

        return troubles;
    }

    /// <summary>This node is not primary of a shard any more: knows nothing of its drives.</summary>
    /// <param name="refusing">Stands for the shard until it is taken up again.</param>
    /// <returns>The drives that it had.</returns>
    public IReadOnlyList<HostedDrive> LetGo(Shard refusing)
    {
        ArgumentNullException.ThrowIfNull(refusing);
        HostedDrive[] gone;
        Interlocked.Increment(ref moves);
        lock (Changes)
        {
            Volatile.Write(ref shards[refusing.Id.Value], refusing);
            isOpen[refusing.Id.Value] = false;
            gone = [.. drives.Values.Where(drive => drive.Shard.Id == refusing.Id)];
            Volatile.Write(ref drives, drives.RemoveRange(gone.Select(static drive => drive.Id)));
        }

        foreach (HostedDrive drive in gone) { drive.LetGo(); }
        Moved();
        return gone;
    }

    /// <summary>Applies what all shards owe, so that every name that is taken is known. With <see cref="Changes"/> held.
    /// </summary>
    /// <returns>Ok; NoSpace: of some it is not known.</returns>
    public Status Resume()
    {
        Invariant.Check(Changes.IsHeldByCurrentThread);
        Status status = Status.Ok;
        foreach (Shard shard in shards)
        {
            if (!shard.IsWaiting) { continue; }
            using (shard.Enter()) { status = shard.Resume(); }
            if (status != Status.Ok) { break; }
        }

        return status;
    }

    /// <summary>Forgets a drive whose records are gone. With <see cref="Changes"/> held.</summary>
    public void Remove(DriveId id)
    {
        Invariant.Check(Changes.IsHeldByCurrentThread);
        ImmutableInterlocked.TryRemove(ref drives, id, out _);
    }

    private Shard HomeOf(ShardId shard) => Volatile.Read(ref shards[shard.Value]);

    private DriveCatalog ReadCatalog()
    {
        try
        {
            return DriveCatalog.Read(records);
        }
        catch (RecordCorruptException corrupt)
        {
            throw new StorageException(
                corrupt.Status,
                $"The record that names a drive cannot be used: {corrupt.Message}. {StorageException.AdviceFor(corrupt.Status)}",
                corrupt);
        }
    }

    private void Load(DriveEntry entry)
    {
        HostedDrive drive = Open(HomeOf(entry.Drive), entry, loss: null);
        lock (Changes) { Invariant.Check(ImmutableInterlocked.TryAdd(ref drives, drive.Id, drive)); }
    }

    private HostedDrive Open(Shard home, DriveEntry entry, ShardLoss? loss)
    {
        DriveId id = entry.Drive;
        Status status;
        DriveState? state;
        DriveCounters counters;
        try
        {
            status = DriveRecords.Load(records, id, out state, out counters);
        }
        catch (RecordCorruptException corrupt)
        {
            throw new StorageException(
                corrupt.Status,
                $"Drive '{entry.Policy.Name}' cannot be loaded: {corrupt.Message}. {StorageException.AdviceFor(corrupt.Status)}",
                corrupt);
        }

        if (status != Status.Ok)
        {
            throw new StorageException(
                status, $"Drive '{entry.Policy.Name}' ({id}) cannot be loaded: {status}. {StorageException.AdviceFor(status)}");
        }

        // A copy of the records may have come before the first block.
        bool isDeleting = (state!.Policy.Flags & DriveFlags.Deleting) != 0;
        StorageResult opened = IsOneOfSeveral && !isDeleting ? blocks.OpenOrCreateDrive(id, state.Policy.Spread) : blocks.OpenDrive(id);
        bool isGone = opened.Status == Status.NotFound && isDeleting;
        if (opened.Status != Status.Ok && !isGone) { throw new StorageException(opened.Status, opened.Message); }
        if (loss is not null) { counters.Next = counters.Reserved = counters.Reserved.After(loss); }
        return New(home, state, counters);
    }

    private HostedDrive New(Shard home, DriveState state, DriveCounters counters) =>
        new(home, store, blocks, work, clock, state, counters);

    /// <summary>A crash between making a drive's folder and recording the drive leaves a folder that nobody was told of: if
    /// it holds no block, it goes; else it stays, for a person to look at.</summary>
    private void DropEmptyLeftovers()
    {
        foreach (DriveId id in blocks.ListDrives())
        {
            if (Find(id) is not null) { continue; }
            using BlockCursor cursor = blocks.OpenBlockCursor(id);
            if (!cursor.MoveNext()) { blocks.DeleteDrive(id); }
        }
    }
}
