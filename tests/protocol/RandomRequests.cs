using KvFs.Core;

namespace KvFs.Protocol.Tests;

/// <summary>Requests and answers of all kinds, with values from all over their ranges, under a seed.</summary>
internal sealed class RandomRequests(int seed)
{
    private readonly Random random = new(seed);

    public DriveId Drive { get; } = new(new UInt128((ulong)new Random(seed).NextInt64(), 7));

    public int Next(int below) => random.Next(below);

    public ulong Number() => random.Next(4) switch
    {
        0 => 0,
        1 => ulong.MaxValue,
        2 => (ulong)random.Next(300),
        _ => (ulong)random.NextInt64(),
    };

    public uint Small() => (uint)Number();

    public ushort Bits() => (ushort)random.Next(1 << 16);

    public bool Chance() => random.Next(2) == 0;

    public byte[] Bytes(int upTo = 300)
    {
        byte[] bytes = new byte[random.Next(upTo)];
        random.NextBytes(bytes);
        return bytes;
    }

    public VNodeId Id() => new(Number());

    public Timestamp Time() => new((long)Number());

    public Credentials Caller() => new(Small(), Small());

    public NodeTimes? Times() => Chance() ? new(Time(), Time(), Time(), Time()) : null;

    public NodeReference Reference() => Chance() ? NodeReference.To(Id()) : NodeReference.ResultOf(random.Next(-5, 2000));

    public NodeInfo Info() => new(
        Id(),
        new()
        {
            Kind = (VNodeKind)random.Next(8),
            Mode = Bits(),
            Uid = Small(),
            Gid = Small(),
            Nlink = Small(),
            Rdev = Small(),
            Flags = (VNodeFlags)Small(),
            Size = Number(),
            AllocatedBytes = Number(),
            AccessTime = Time(),
            ModifyTime = Time(),
            ChangeTime = Time(),
            BirthTime = Time(),
            Parent = Id(),
            DataVersion = new(Number()),
        },
        new(Number()));

    public SetAttributesRequest Attributes() => new()
    {
        Node = Id(),
        Mask = (AttributeMask)Small(),
        Mode = Bits(),
        Uid = Small(),
        Gid = Small(),
        Size = Number(),
        AccessTime = Time(),
        ModifyTime = Time(),
        ChangeTime = Time(),
    };

    public FileCommit Commit()
    {
        FileCommit commit = new()
        {
            Node = Id(),
            MinSize = Number(),
            ModifyTime = Time(),
            KeepTimes = Chance(),
            KillSetId = Chance(),
            Attributes = Chance() ? Attributes() : null,
        };
        commit.Inline.Set(Bytes());
        for (int count = random.Next(5); count > 0; count--)
        {
            SliceKind kind = (SliceKind)random.Next(6);
            DriveId owner = Chance() ? Drive : new(Number());
            BlockName block = kind == SliceKind.Block ? new(owner, new(Number())) : default;
            commit.Runs.Add(new(Number(), Small(), kind, block, Small()));
        }

        return commit;
    }

    public Precondition Precondition() => random.Next(3) switch
    {
        0 => new VersionIs(Id(), new(Number())),
        1 => new NameIs(Id(), Bytes(), Id()),
        _ => new NameIsFree(Id(), Bytes()),
    };

    public TransactOperation Operation() => Chance() ? Kind() : Kind() with { At = new((long)Number()) };

    private TransactOperation Kind() => random.Next(8) switch
    {
        0 => new CreateOperation(Reference(), Bytes(), (VNodeKind)random.Next(256))
        {
            Mode = Bits(),
            Umask = Bits(),
            Rdev = Small(),
            SymlinkTarget = Bytes(),
            Caller = Caller(),
            Id = Id(),
            Times = Times(),
            Opened = Chance(),
            Nameless = Chance(),
        },
        1 => new LinkOperation(Reference(), Reference(), Bytes()),
        2 => new UnlinkOperation(Reference(), Bytes(), Chance()),
        3 => new RenameOperation(Reference(), Bytes(), Reference(), Bytes()) { Flags = (RenameFlags)Small(), Caller = Caller() },
        4 => new SetAttributesOperation(Reference(), Attributes()),
        5 => new SetXattrOperation(Reference(), Bytes(), Bytes()) { Mode = (XattrMode)random.Next(3), KillSetGid = Chance() },
        6 => new RemoveXattrOperation(Reference(), Bytes()),
        _ => new CommitOperation(Reference(), Commit()),
    };
}
