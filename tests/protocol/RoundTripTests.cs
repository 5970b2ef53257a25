using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol.Wire;

namespace KvFs.Protocol.Tests;

/// <summary>What one end says is what the other one hears.</summary>
public sealed class RoundTripTests
{
    private const int Rounds = 300;

    public static TheoryData<int> Seeds => [1, 2, 3];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Requests_of_the_namespace_come_through(int seed)
    {
        RandomRequests random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            SessionId session = new(5);
            byte[] name = random.Bytes();
            byte[] other = random.Bytes();
            CreateRequest create = new()
            {
                Parent = random.Id(),
                Name = name,
                Kind = (VNodeKind)random.Next(256),
                Mode = random.Bits(),
                Umask = random.Bits(),
                Rdev = random.Small(),
                SymlinkTarget = other,
                Caller = random.Caller(),
                OpenedBy = random.Chance() ? session : default,
                Nameless = random.Chance(),
                Id = random.Id(),
                Times = random.Times(),
            };
            CreateRequest created = Sent(create.ToWire(), V1.Create.Parser).ToCore(session);
            Assert.True(created.Name.SequenceEqual(name) && created.SymlinkTarget.SequenceEqual(other));
            Assert.Equal(
                (create.Parent, create.Kind, create.Mode, create.Umask, create.Rdev, create.Caller),
                (created.Parent, created.Kind, created.Mode, created.Umask, created.Rdev, created.Caller));
            Assert.Equal(
                (create.OpenedBy, create.Nameless, create.Id, create.Times, session),
                (created.OpenedBy, created.Nameless, created.Id, created.Times, created.Session));

            RenameRequest rename = new()
            {
                OldParent = random.Id(),
                OldName = name,
                NewParent = random.Id(),
                NewName = other,
                Flags = (RenameFlags)random.Small(),
                Caller = random.Caller(),
            };
            RenameRequest renamed = Sent(rename.ToWire(), V1.Rename.Parser).ToCore();
            Assert.True(renamed.OldName.SequenceEqual(name) && renamed.NewName.SequenceEqual(other));
            Assert.Equal(
                (rename.OldParent, rename.NewParent, rename.Flags, rename.Caller),
                (renamed.OldParent, renamed.NewParent, renamed.Flags, renamed.Caller));

            LinkRequest link = new() { Node = random.Id(), NewParent = random.Id(), NewName = name };
            LinkRequest linked = Sent(link.ToWire(), V1.Link.Parser).ToCore();
            Assert.Equal((link.Node, link.NewParent), (linked.Node, linked.NewParent));
            Assert.True(linked.NewName.SequenceEqual(name));

            UnlinkRequest unlink = new() { Parent = random.Id(), Name = name, Directory = random.Chance() };
            UnlinkRequest unlinked = Sent(unlink.ToWire(), V1.Unlink.Parser).ToCore();
            Assert.Equal((unlink.Parent, unlink.Directory), (unlinked.Parent, unlinked.Directory));
            Assert.True(unlinked.Name.SequenceEqual(name));

            SetXattrRequest set = new()
            {
                Node = random.Id(), Name = name, Value = other, Mode = (XattrMode)random.Next(3), KillSetGid = random.Chance(),
            };
            SetXattrRequest done = Sent(set.ToWire(), V1.SetXattr.Parser).ToCore();
            Assert.Equal((set.Node, set.Mode, set.KillSetGid), (done.Node, done.Mode, done.KillSetGid));
            Assert.True(done.Name.SequenceEqual(name) && done.Value.SequenceEqual(other));

            SetAttributesRequest attributes = random.Attributes();
            Assert.Equal(attributes, Sent(attributes.ToWire(), V1.SetAttributes.Parser).ToCore());
            RangeRequest range = new(random.Id(), (RangeOperation)random.Next(256), random.Number(), random.Number(), random.Chance());
            Assert.Equal(range, Sent(range.ToWire(), V1.ChangeRange.Parser).ToCore());
            CowNumber at = random.Chance() ? CowNumber.Head : new(random.Number());
            CopyRangeRequest copy = new(random.Id(), at, random.Number(), random.Id(), random.Number(), random.Number());
            Assert.Equal(copy, Sent(copy.ToWire(), V1.CopyRange.Parser).ToCore());
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Transactions_come_through(int seed)
    {
        RandomRequests random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            List<Precondition> preconditions = [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Precondition())];
            List<TransactOperation> operations = [.. Enumerable.Range(0, random.Next(5)).Select(_ => random.Operation())];
            bool owed = random.Next(2) == 0;
            V1.Transact sent = new TransactRequest(preconditions, operations) { Owed = owed }.ToWire(random.Drive);
            TransactRequest heard = Sent(sent, V1.Transact.Parser).ToCore(random.Drive)!;
            Assert.Equal(preconditions.Select(Text), heard.Preconditions.Select(Text));
            Assert.Equal(operations.Select(Text), heard.Operations.Select(Text));
            Assert.Equal(owed, heard.Owed);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Answers_come_through(int seed)
    {
        RandomRequests random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            NodeInfo info = random.Info();
            Assert.Equal(info, Sent(info.ToWire(), V1.Node.Parser).ToCore());
            UnlinkResult removed = new(info, random.Chance(), random.Chance()) { NeedsReaping = random.Chance() };
            Assert.Equal(removed, Sent(removed.ToWire(), V1.Removed.Parser).ToCore());
            DriveUsage usage = new(random.Number(), random.Number(), random.Number(), random.Number(), random.Number());
            Assert.Equal(usage, Sent(usage.ToWire(), V1.Usage.Parser).ToCore());
            FileLock held = new(random.Number(), random.Number(), (LockType)random.Next(3), new(new(random.Number()), random.Number()), random.Small());
            Assert.Equal(held, Sent(held.ToWire(), V1.FileLock.Parser).ToCore());
            SnapshotInfo snapshot = new($"s{random.Number()}", new(random.Number()), random.Time());
            Assert.Equal(snapshot, Sent(snapshot.ToWire(), V1.Snapshot.Parser).ToCore());
            DriveInfo drive = new(
                random.Drive, "d", DriveKind.Block, random.Number(), random.Number(), random.Number(), random.Number(), random.Time(),
                random.Chance() ? random.Next(100) : null, random.Chance() ? new(random.Number()) : null, random.Chance() ? "o" : null,
                random.Next(101));
            Assert.Equal(drive, Sent(drive.ToWire(), V1.DriveInfo.Parser).ToCore());

            TransactResult result = new() { Grown = new(random.Number(), random.Number()), FailedAt = random.Next(5) - 1, IsPrecondition = random.Chance() };
            result.Nodes.Add(info);
            result.ToReap.Add(random.Id());
            result.Opened.Add(random.Id());
            TransactResult heard = new();
            Sent(result.ToWire(), V1.Transacted.Parser).CopyTo(heard);
            Assert.Equal((result.Grown, result.FailedAt, result.IsPrecondition), (heard.Grown, heard.FailedAt, heard.IsPrecondition));
            Assert.Equal(result.Nodes, heard.Nodes);
            Assert.Equal(result.ToReap, heard.ToReap);
            Assert.Equal(result.Opened, heard.Opened);
        }
    }

    [Fact]
    public void Pages_of_directories_come_through()
    {
        RandomRequests random = new(1);
        DirectoryPage page = new() { IsLast = true };
        for (int at = 0; at < 100; at++)
        {
            Dentry dentry = new(random.Id(), (VNodeKind)random.Next(8));
            page.Add(random.Bytes(255), random.Number(), dentry, at % 3 == 0 ? default : random.Info() with { Id = new(7) });
        }

        DirectoryPage heard = new();
        Sent(page.ToWire(withNodes: true), V1.DirectoryPage.Parser).CopyTo(heard);
        Assert.True(heard.IsLast);
        Assert.Equal(page.Count, heard.Count);
        for (int at = 0; at < page.Count; at++)
        {
            Assert.True(page.Name(at).SequenceEqual(heard.Name(at)));
            Assert.Equal((page.Cookie(at), page.Dentry(at), page.Info(at)), (heard.Cookie(at), heard.Dentry(at), heard.Info(at)));
        }
    }

    [Fact]
    public void A_cluster_shows_the_same_and_sends_only_what_is_visible()
    {
        RandomRequests random = new(2);
        ClusterMap map = new();
        for (int at = 0; at < 500; at++)
        {
            uint offset = (uint)random.Next(200_000);
            uint length = 1 + (uint)random.Next(4000);
            SliceKind kind = (SliceKind)(1 + random.Next(4));
            BlockName block = kind == SliceKind.Block ? new(new((ulong)random.Next(3)), new(random.Number())) : default;
            byte[] inline = new byte[kind == SliceKind.Inline ? length : 0];
            inline.AsSpan().Fill((byte)at);
            map.Overlay(new(offset, length, kind, block, kind == SliceKind.Block ? (uint)at : 0), inline);
        }

        ClusterMap heard = Sent(map.ToWire(), V1.Cluster.Parser).ToCore();
        Assert.Equal((map.DeltaCount, map.MappedBytes, map.Runs.Count), (heard.DeltaCount, heard.MappedBytes, heard.Runs.Count));
        Assert.Equal(heard.Runs.Where(run => run.Kind == SliceKind.Inline).Sum(run => run.Length), heard.Inline.Length);
        Assert.True(heard.Inline.Length < map.Inline.Length);
        for (int at = 0; at < map.Runs.Count; at++)
        {
            Slice run = map.Runs[at];
            Slice same = heard.Runs[at];
            if (run.Kind != SliceKind.Inline)
            {
                Assert.Equal(run, same);
                continue;
            }

            Assert.Equal(run with { SourceOffset = 0 }, same with { SourceOffset = 0 });
            Assert.True(map.Inline.Slice((int)run.SourceOffset, (int)run.Length)
                .SequenceEqual(heard.Inline.Slice((int)same.SourceOffset, (int)same.Length)));
        }
    }

    private static T Sent<T>(T message, MessageParser<T> parser)
        where T : IMessage<T> => parser.ParseFrom(message.ToByteArray());

    /// <summary>Everything that it says; commits by their content, which has no equality, without what is not looked at.</summary>
    private static string Text(object value) => value switch
    {
        CommitOperation commit => $"{commit.Node} {Text(commit.Commit)}",
        SetAttributesOperation set => $"{set.Node} {set.Request with { Node = default }}",
        FileCommit commit => $"{string.Join(',', commit.Runs)} {Convert.ToHexString(commit.Inline.Span)} {commit.MinSize} "
            + $"{commit.ModifyTime} {commit.KeepTimes} {commit.KillSetId} {commit.Attributes}",
        _ => string.Join(' ', value.GetType().GetProperties().Select(property => property.GetValue(value) switch
        {
            ReadOnlyMemory<byte> bytes => Convert.ToHexString(bytes.Span),
            var other => $"{property.Name}={other}",
        })),
    };
}
