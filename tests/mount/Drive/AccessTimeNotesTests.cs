using KvFs.Client;
using KvFs.Core;
using KvFs.Mount.Tests.Kernel;
using KvFs.Protocol;

namespace KvFs.Mount.Tests.Drive;

/// <summary>Access times of a file on a real node, whose clock goes when it is told to.</summary>
public sealed class AccessTimeNotesTests : IAsyncLifetime
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_day = TimeSpan.FromDays(1);
    private static readonly TimeSpan s_tick = new(1);

    private readonly ManualClock clock = new();
    private readonly ManualTimers timers;
    private readonly List<Exception> faults = [];
    private NodeFolder node = null!;
    private DriveClient client = null!;
    private AccessTimeNotes notes = null!;
    private VNodeId file;

    public AccessTimeNotesTests() => timers = new(clock);

    private Timestamp Now => timers.Now;

    public async Task InitializeAsync()
    {
        node = await NodeFolder.StartAsync(clock);
        client = ClientOf(await node.OpenAsync(), clock);
        notes = NotesOf(client, timers, faults);
        ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = "f"u8, Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> created = await creating;
        Assert.Equal(Status.Ok, created.Status);
        file = created.Value.Info.Id;
        Assert.Equal(Status.Ok, await client.CloseAsync(created.Value.File));
    }

    public async Task DisposeAsync()
    {
        await notes.DisposeAsync();
        await client.DisposeAsync();
        await node.DisposeAsync();
        Assert.Empty(faults);
    }

    private static DriveClient ClientOf(IDriveSession session, TimeProvider clock) => new(session, new(), clock);

    private static AccessTimeNotes NotesOf(DriveClient client, TimeProvider timers, List<Exception> faults) => new(() => client, timers, (_, e) => faults.Add(e));

    [Fact]
    public async Task A_read_moves_an_access_time_that_is_no_newer_than_the_last_change()
    {
        Timestamp born = Now;
        Timestamp first = ReadLater(s_second);
        clock.Advance(s_second);

        // It shows at once, and is stored later: with the time of the read, and the file counts as unchanged.
        Assert.Equal((born, first), await StoredAndShownAsync());
        await notes.WriteAsync();
        Assert.Equal((first, first), await StoredAndShownAsync());
        VNode stored = await StoredAsync();
        Assert.Equal((born, born), (stored.ModifyTime, stored.ChangeTime));

        // It is newer than the last change by now: a second read moves nothing.
        ReadLater(s_second);
        Assert.Equal((first, first), await StoredAndShownAsync());
        await notes.WriteAsync();
        Assert.Equal((first, first), await StoredAndShownAsync());

        // After a change of the content, or of the attributes alone, the next one does.
        foreach (AttributeMask change in (AttributeMask[])[AttributeMask.ModifyTimeNow, AttributeMask.Mode])
        {
            clock.Advance(s_second);
            await ChangeAsync(new() { Node = file, Mask = change, Mode = 0x180 });
            Timestamp next = ReadLater(s_second);
            await notes.WriteAsync();
            Assert.Equal((next, next), await StoredAndShownAsync());
        }
    }

    [Fact]
    public async Task Without_a_change_a_read_moves_it_once_a_day()
    {
        Timestamp first = ReadLater(s_second);
        await notes.WriteAsync();
        ReadLater(s_day - s_tick);
        await notes.WriteAsync();
        Assert.Equal((first, first), await StoredAndShownAsync());

        Timestamp next = ReadLater(s_tick);
        Assert.Equal((first, next), await StoredAndShownAsync());
        await notes.WriteAsync();
        Assert.Equal((next, next), await StoredAndShownAsync());
    }

    [Fact]
    public async Task A_read_never_moves_it_back()
    {
        Timestamp future = new(Now.Nanoseconds + s_day.Ticks * TimeSpan.NanosecondsPerTick);
        await ChangeAsync(new() { Node = file, Mask = AttributeMask.AccessTime, AccessTime = future });
        ReadLater(s_second);
        Assert.Equal((future, future), await StoredAndShownAsync());
        await notes.WriteAsync();
        Assert.Equal((future, future), await StoredAndShownAsync());
    }

    [Fact]
    public async Task Who_sets_an_access_time_has_the_last_word_over_earlier_reads()
    {
        ReadLater(s_second);
        Timestamp set = new(5);
        await ChangeAsync(new() { Node = file, Mask = AttributeMask.AccessTime, AccessTime = set });
        notes.Drop(file);
        Assert.Equal((set, set), await StoredAndShownAsync());
        await notes.WriteAsync();
        Assert.Equal((set, set), await StoredAndShownAsync());
    }

    [Fact]
    public async Task What_is_noted_is_written_every_ten_seconds_with_the_time_of_the_last_read()
    {
        ReadLater(s_second);
        Timestamp last = ReadLater(s_second);
        Assert.Equal(TimeSpan.FromSeconds(10), timers.Period);
        timers.Fire();
        Assert.Equal((last, last), await StoredAndShownAsync());
    }

    [Fact]
    public async Task An_open_file_notes_a_read_a_second_and_one_that_was_not_to_notes_none()
    {
        FileHandle silent = new(1);
        FileHandle handle = new(2) { NotesAccess = true };
        Timestamp born = Now;
        clock.Advance(s_second);
        notes.Note(silent, file);
        Assert.Equal((born, born), await StoredAndShownAsync());

        Timestamp first = Now;
        notes.Note(handle, file);
        clock.Advance(s_second - s_tick);
        notes.Note(handle, file);
        Assert.Equal((born, first), await StoredAndShownAsync());
        clock.Advance(s_tick);
        notes.Note(handle, file);
        Assert.Equal((born, Now), await StoredAndShownAsync());
    }

    /// <summary>Reads after a while, and says when.</summary>
    private Timestamp ReadLater(TimeSpan after)
    {
        clock.Advance(after);
        notes.Note(file);
        return Now;
    }

    private async Task ChangeAsync(SetAttributesRequest request) =>
        Assert.Equal(Status.Ok, (await client.SetAttributesAsync(request)).Status);

    private async Task<VNode> StoredAsync()
    {
        Reply<NodeInfo> info = await client.GetAsync(file, CowNumber.Head);
        Assert.Equal(Status.Ok, info.Status);
        return info.Value.VNode;
    }

    private async Task<(Timestamp Stored, Timestamp Shown)> StoredAndShownAsync()
    {
        VNode stored = await StoredAsync();
        VNode shown = stored;
        notes.Show(file, ref shown);
        return (stored.AccessTime, shown.AccessTime);
    }
}
