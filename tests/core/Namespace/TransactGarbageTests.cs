using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

/// <summary>Requests as nobody of sound mind sends them: each is answered, and one that is not done has done nothing.</summary>
public sealed class TransactGarbageTests
{
    private const int Requests = 3000;
    private static readonly SessionId s_session = new(7);
    private readonly TestDrive drive = new();
    private readonly TransactResult result = new();
    private Random chance = new(0);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Whatever_is_sent_is_done_or_not_and_leaves_a_drive_that_is_sound(int seed)
    {
        chance = new(seed);
        OpenNodes holders = new();
        SortedDictionary<Status, int> answers = [];
        VNodeId first = default;
        Assert.Equal(Status.Ok, drive.Run(t => GrantVNodes.Apply(s_session, 300, t, out first)));
        for (int i = 0; i < Requests; i++)
        {
            KeyValuePair<byte[], byte[]>[] before = i % 50 == 0 ? Records() : [];
            Precondition[] preconditions = [.. Enumerable.Range(0, chance.Next(8) == 0 ? 1 : 0).Select(_ => AnyPrecondition())];
            TransactOperation[] operations = [.. Enumerable.Range(0, chance.Next(1, 4)).Select(_ => AnyOperation())];
            Status status = drive.Run(t => Transact.Apply(new(preconditions, operations), s_session, holders, t, result));
            answers[status] = answers.GetValueOrDefault(status) + 1;
            foreach (VNodeId opened in result.Opened) { holders.With(opened, s_session); }
            if (status == Status.Ok) { Assert.Equal((operations.Length, -1), (result.Nodes.Count, result.FailedAt)); }
            else if (before.Length > 0) { Assert.Equal(before, Records()); }
        }

        FindingList.Nothing(drive);
        Status[] expected =
            [Status.Ok, Status.NotFound, Status.Exists, Status.Invalid, Status.Stale, Status.Conflict, Status.NotDirectory];
        Assert.All(expected, status => Assert.True(answers.ContainsKey(status), $"{status} was never met."));
    }

    private KeyValuePair<byte[], byte[]>[] Records() =>
        [.. drive.Records.All.Where(record => record.Key[DriveId.Size] != (byte)RecordKind.Reservation)];

    private Precondition AnyPrecondition() => chance.Next(3) switch
    {
        0 => new VersionIs(AnyId(), new((ulong)chance.Next(50))),
        1 => new NameIs(AnyId(), AnyName(), AnyId()),
        _ => new NameIsFree(AnyId(), AnyName()),
    };

    private TransactOperation AnyOperation() => chance.Next(9) switch
    {
        < 2 => new CreateOperation(AnyReference(), AnyName(), (VNodeKind)chance.Next(9))
        {
            Mode = (ushort)chance.Next(1 << 16),
            SymlinkTarget = AnyName(),
            Id = chance.Next(2) == 0 ? default : AnyId(),
            Opened = chance.Next(3) == 0,
            Nameless = chance.Next(2) == 0,
            Times = chance.Next(2) == 0 ? null : NodeTimes.Made(new(chance.NextInt64(long.MinValue, long.MaxValue))),
        },
        2 => new LinkOperation(AnyReference(), AnyReference(), AnyName()),
        3 => new UnlinkOperation(AnyReference(), AnyName(), chance.Next(2) == 0),
        4 => new RenameOperation(AnyReference(), AnyName(), AnyReference(), AnyName()) { Flags = (RenameFlags)chance.Next(9) },
        5 => new SetAttributesOperation(
            AnyReference(), new() { Mask = (AttributeMask)chance.Next(1 << 12), Size = (ulong)chance.NextInt64(1L << 45) }),
        6 => new SetXattrOperation(AnyReference(), AnyName(), AnyName()) { Mode = (XattrMode)chance.Next(4) },
        7 => new RemoveXattrOperation(AnyReference(), AnyName()),
        _ => new CommitOperation(AnyReference(), AnyCommit()),
    };

    private NodeReference AnyReference() =>
        chance.Next(3) == 0 ? NodeReference.ResultOf(chance.Next(-2, 4)) : NodeReference.To(AnyId());

    private VNodeId AnyId() => chance.Next(10) switch
    {
        0 => new((ulong)chance.NextInt64()),
        < 4 => VNodeId.Root,
        _ => new((ulong)chance.Next(60)),
    };

    private byte[] AnyName() => chance.Next(12) switch
    {
        0 => [],
        1 => new byte[chance.Next(300)],
        2 => "."u8.ToArray(),
        3 => "a/b"u8.ToArray(),
        < 6 => [.. "user."u8, (byte)chance.Next('a', 'd')],
        _ => [(byte)chance.Next('a', 'k')],
    };

    private FileCommit AnyCommit()
    {
        FileCommit commit = new() { MinSize = (ulong)chance.Next(20_000), Session = new((ulong)chance.Next(9)) };
        commit.Inline.Append(new byte[chance.Next(5000)]);
        for (int runs = chance.Next(3); runs > 0; runs--)
        {
            ulong offset = chance.Next(4) == 0 ? (ulong)chance.NextInt64() : (ulong)chance.Next(9000);
            BlockName block = new(drive.State.Drive, new((ulong)chance.Next(5)));
            commit.Runs.Add(new(offset, (uint)chance.Next(5000), (SliceKind)chance.Next(7), block, (uint)chance.Next(100)));
        }

        return commit;
    }
}
