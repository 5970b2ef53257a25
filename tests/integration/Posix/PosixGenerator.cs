namespace KvFs.Integration.Tests.Posix;

/// <summary>Draws sequences of calls from a seed.</summary>
/// <remarks>Few names, few descriptors, small files with sizes around what the store treats differently: so that calls
/// meet each other, and both success and every error happen often.</remarks>
internal sealed class PosixGenerator(int seed)
{
    public const int Slots = 6;

    /// <summary>Bytes of the longest write: more than inline data, and more than two pages.</summary>
    private const int LargestWrite = 150_000;

    // The flags of open(2) on Linux that are the same on x86-64 and arm64.
    private const int WriteOnly = 1, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, Truncate = 0x200, Append = 0x400;

    private static readonly string[] s_names = ["a", "b", "c", "dd"];
    private static readonly uint[] s_modes = [0x1A4, 0x1ED, 0x180, 0x124, 0, 0x9ED, 0x5ED, 0x3FF];
    private static readonly long[] s_edges = [0, 0, 0, 4096, 65536, 131072, 1 << 20];
    private static readonly int[] s_nudges = [0, 0, -1, 1, 17, 100, 2000, -333];
    private static readonly int[] s_lengths = [0, 1, 10, 100, 4096, 4097, 5000, 65536, 70_000, LargestWrite];
    private static readonly int[] s_directLengths = [4096, 8192, 65536, 73_728, 135_168];
    private static readonly int[] s_mapLengths = [1, 10, 4096, 5000, 65536, LargestWrite];

    // Kinds of mknod(2): regular file, fifo, character and block device, socket. No driver has the devices.
    private static readonly uint[] s_nodeKinds = [0x8000, 0x1000, 0x1000, 0x2000, 0x6000, 0xC000];
    private static readonly int[] s_devices = [0xF063, 0xF064];
    private static readonly int[] s_allocateModes = [0, 1, 3, 0x10, 0x11];
    private static readonly string[] s_targets = ["a", "b", "c", "a/b", "dd/c", "./a", "../b", "nowhere"];
    private static readonly string[] s_attributes = ["user.a", "user.b", "user.long-name-of-an-attribute"];

    /// <summary>How often each kind is drawn, relative to the others; 1 if it is not listed.</summary>
    private static readonly (PosixKind Kind, int Weight)[] s_weights =
    [
        (PosixKind.Open, 9), (PosixKind.WriteAt, 6), (PosixKind.Write, 6), (PosixKind.ReadAt, 4), (PosixKind.Read, 4),
        (PosixKind.MakeDirectory, 4), (PosixKind.Rename, 6), (PosixKind.Unlink, 3), (PosixKind.Link, 3),
        (PosixKind.Allocate, 3), (PosixKind.CopyRange, 3), (PosixKind.TruncateOpen, 2), (PosixKind.Truncate, 2),
        (PosixKind.ReadDirect, 3), (PosixKind.WriteDirect, 4), (PosixKind.ReadMap, 3), (PosixKind.WriteMap, 4),
        (PosixKind.MakeNode, 2), (PosixKind.OpenUnnamed, 2), (PosixKind.LinkUnnamed, 3), (PosixKind.Symlink, 2),
        (PosixKind.ReadLink, 3), (PosixKind.Stat, 3), (PosixKind.List, 2), (PosixKind.SetXattr, 8),
        (PosixKind.GetXattr, 6), (PosixKind.RemoveXattr, 4),
    ];

    private static readonly PosixKind[] s_kinds =
    [
        .. Enum.GetValues<PosixKind>(),
        .. s_weights.SelectMany(entry => Enumerable.Repeat(entry.Kind, entry.Weight - 1)),
    ];

    private readonly Random random = new(seed);

    public List<PosixCall> Draw(int count)
    {
        List<PosixCall> calls = new(count);
        for (int i = 0; i < count; i++) { calls.Add(Next()); }
        return calls;
    }

    private PosixCall Next()
    {
        PosixCall call = new(Pick(s_kinds)) { Slot = random.Next(Slots) };
        return call.Kind switch
        {
            PosixKind.Open => call with { Path = Name(), Flags = OpenFlags(), Mode = Pick(s_modes) },
            PosixKind.OpenUnnamed => call with { Path = Folder(), Mode = Pick(s_modes), Flags = ReadWrite },
            PosixKind.LinkUnnamed => call with { Path = Name() },
            PosixKind.Duplicate => call with { OtherSlot = random.Next(Slots) },
            PosixKind.Read => call with { Length = Pick(s_lengths) },
            PosixKind.ReadAt => call with { Length = Pick(s_lengths), Offset = Offset() },
            PosixKind.Write => call with { Length = Pick(s_lengths), Fill = random.Next(1, 256) },
            PosixKind.WriteAt => call with { Length = Pick(s_lengths), Offset = Offset(), Fill = random.Next(1, 256) },
            PosixKind.Seek => call with { Offset = Offset() - random.Next(2), Flags = random.Next(3) },
            PosixKind.SeekData or PosixKind.SeekHole => call with { Offset = Offset() },
            PosixKind.TruncateOpen => call with { Offset = Offset() },
            PosixKind.Truncate => call with { Path = Name(), Offset = Offset() },
            PosixKind.Allocate => call with { Flags = Pick(s_allocateModes), Offset = Offset(), Length = Pick(s_lengths) },
            PosixKind.CopyRange => call with
            {
                OtherSlot = random.Next(Slots),
                Offset = Offset(),
                OtherOffset = Offset(),
                Length = Pick(s_lengths),
            },
            PosixKind.ReadDirect => call with { Path = Name(), Offset = DirectOffset(), Length = Pick(s_directLengths) },
            PosixKind.WriteDirect => call with
            {
                Path = Name(),
                Offset = DirectOffset(),
                Length = Pick(s_directLengths),
                Fill = random.Next(1, 256),
            },
            PosixKind.ReadMap => call with { Path = Name(), Offset = Offset(), Length = Pick(s_mapLengths) },
            PosixKind.WriteMap => call with
            {
                Path = Name(),
                Offset = Offset(),
                Length = Pick(s_mapLengths),
                Fill = random.Next(1, 256),
            },
            PosixKind.MakeNode => call with
            {
                Path = Name(),
                Mode = Pick(s_nodeKinds) | Pick(s_modes),
                Flags = Pick(s_devices),
            },
            PosixKind.Flock => call with { Flags = Pick([1, 2, 8]) },
            PosixKind.MakeDirectory => call with { Path = Name(), Mode = Pick(s_modes) },
            PosixKind.Symlink => call with { Path = Name(), OtherPath = Pick(s_targets) },
            PosixKind.Link => call with { Path = Name(), OtherPath = Name() },
            PosixKind.Rename => call with { Path = Name(), OtherPath = Name(), Flags = Pick([0, 0, 0, 0, 1, 2, 2, 4, 3]) },
            PosixKind.ChangeMode => call with { Path = Name(), Mode = Pick(s_modes) },
            PosixKind.ChangeModeOpen => call with { Mode = Pick(s_modes) },
            PosixKind.SetTimes => call with { Path = Name(), Flags = random.Next(4), Offset = random.Next(1_000_000_000) },
            PosixKind.SetXattr => call with
            {
                Path = Name(),
                Attribute = Pick(s_attributes),
                Flags = Pick([0, 0, 1, 2]),
                Length = random.Next(200),
                Fill = random.Next(1, 256),
            },
            PosixKind.GetXattr => call with
            {
                Path = Name(),
                Attribute = Pick(s_attributes),
                Length = Pick([0, 10, 300]),
            },
            PosixKind.ListXattrs => call with { Path = Name(), Length = Pick([0, 3, 300]) },
            PosixKind.RemoveXattr => call with { Path = Name(), Attribute = Pick(s_attributes) },
            PosixKind.List => call with { Path = Folder() },
            PosixKind.Stat or PosixKind.StatLink or PosixKind.ReadLink or PosixKind.RemoveDirectory
                or PosixKind.Unlink => call with { Path = Name() },
            _ => call,
        };
    }

    private int OpenFlags()
    {
        int flags = random.Next(3);
        if (random.Next(4) != 0) { flags = ReadWrite; }
        if (random.Next(4) != 0) { flags |= Create; }
        if (random.Next(8) == 0) { flags |= Exclusive; }
        if (random.Next(6) == 0) { flags |= Append; }
        if (random.Next(6) == 0 && (flags & (WriteOnly | ReadWrite)) != 0) { flags |= Truncate; }

        // An exclusive open without a creation is undefined.
        return (flags & Create) == 0 ? flags & ~Exclusive : flags;
    }

    private string Name()
    {
        int depth = random.Next(5) switch { < 3 => 1, 3 => 2, _ => 3 };
        return string.Join('/', Enumerable.Range(0, depth).Select(_ => Pick(s_names)));
    }

    private string Folder() => random.Next(3) == 0 ? "." : Name();

    private long Offset() => Math.Max(0, Pick(s_edges) + Pick(s_nudges));

    /// <summary>Whole pages: what ext4 asks of direct access, and a mount does not.</summary>
    private long DirectOffset() => Offset() & ~4095L;

    private T Pick<T>(T[] from) => from[random.Next(from.Length)];
}
