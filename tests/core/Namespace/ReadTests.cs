using System.Text;

namespace KvFs.Core.Tests.Namespace;

public sealed class ReadTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void Dot_and_dot_dot_are_found_and_the_roots_parent_is_the_root()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(a, "b");
        Assert.Equal(b, Find(b, "."));
        Assert.Equal(a, Find(b, ".."));
        Assert.Equal(Root, Find(a, ".."));
        Assert.Equal(Root, Find(Root, ".."));
    }

    [Fact]
    public void What_is_not_found_is_told_apart()
    {
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.NotFound, drive.Head.Find(Root, "x", out _));
        Assert.Equal(Status.NotDirectory, drive.Head.Find(file, "x", out _));
        Assert.Equal(Status.Stale, drive.Head.Find(new(99), "x", out _));
        Assert.Equal(Status.NameTooLong, drive.Head.Find(Root, new('x', 256), out _));
        Assert.Equal(Status.Stale, GetNode.Apply(drive.Head, new(99), out _));
    }

    [Fact]
    public void A_paths_every_component_is_walked()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.Given(a, "b");
        Assert.Equal((Status.Ok, Root), Resolve("/"));
        Assert.Equal((Status.Ok, Root), Resolve(""));
        Assert.Equal((Status.Ok, b), Resolve("/a/b"));
        Assert.Equal((Status.Ok, b), Resolve("a//b"));
        Assert.Equal((Status.Ok, a), Resolve("/a/./"));
        Assert.Equal((Status.Ok, a), Resolve("/a/../a"));
        Assert.Equal(Status.NotFound, Resolve("/a/c").Item1);
        Assert.Equal(Status.NotDirectory, Resolve("/a/b/c").Item1);
        Assert.Equal(Status.NameTooLong, Resolve($"/{new string('x', 256)}").Item1);
    }

    [Fact]
    public void A_directory_is_read_in_pages_of_any_size()
    {
        string[] names = [.. Enumerable.Range(0, 300).Select(i => $"n{i}").Order(StringComparer.Ordinal)];
        foreach (string name in names) { drive.Given(Root, name); }
        foreach (int page in new[] { 1, 2, 7, 299, 300, 301, 5000 }) { Assert.Equal(names, drive.Head.Names(Root, page)); }
    }

    [Fact]
    public void Names_that_are_there_all_the_while_are_met_exactly_once_whatever_comes_and_goes()
    {
        for (int i = 0; i < 100; i++) { drive.Given(Root, $"stays{i}"); }
        NameList sink = new();
        bool isLast = false;
        for (int i = 0; !isLast; i++)
        {
            Assert.Equal(Status.Ok, ReadDirectory.Apply(drive.Head, Root, sink.Cookie, 5, false, sink, out isLast));
            drive.Given(Root, $"comes{i}");
            if (i > 0) { drive.Unlink(Root, $"comes{i - 1}"); }
        }

        List<string> stayed = [.. sink.Names.Where(name => name.StartsWith("stays", StringComparison.Ordinal))];
        Assert.Equal(100, stayed.Count);
        Assert.Equal(100, stayed.Distinct().Count());
    }

    [Fact]
    public void Entries_that_share_a_cookie_stay_on_one_page()
    {
        // Two names with one hash are hard to find, so the records are made: the reader looks at keys only.
        VNodeId file = drive.Given(Root, "f");
        Span<byte> payload = stackalloc byte[Dentry.PayloadBytes];
        new Dentry(file, VNodeKind.File).Encode(payload);
        ByteBuffer value = new();
        RecordEnvelope.Write(new(1), whiteout: false, payload, value);
        foreach (string name in new[] { "a", "b", "c" })
        {
            RecordKey key = RecordKey.DentryFrom(Root, 3);
            key.Append(Encoding.UTF8.GetBytes(name));
            drive.Records.Put(key.In(drive.State.Drive), value.Span);
        }

        NameList sink = new();
        Assert.Equal(Status.Ok, ReadDirectory.Apply(drive.Head, Root, 0, 1, true, sink, out bool isLast));
        Assert.Equal(["a", "b", "c"], sink.Names);
        Assert.False(isLast);
        Assert.Equal(Status.Ok, ReadDirectory.Apply(drive.Head, Root, sink.Cookie, 1, true, sink, out isLast));
        Assert.Equal(["a", "b", "c", "f"], sink.Names);
        Assert.True(isLast);
    }

    [Fact]
    public void Only_a_directory_that_is_there_is_read()
    {
        NameList sink = new();
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.NotDirectory, ReadDirectory.Apply(drive.Head, file, 0, 1, false, sink, out _));
        Assert.Equal(Status.Stale, ReadDirectory.Apply(drive.Head, new(99), 0, 1, false, sink, out _));
        Assert.Equal(Status.Ok, ReadDirectory.Apply(drive.Head, Root, ulong.MaxValue, 1, false, sink, out bool isLast));
        Assert.True(isLast);
        Assert.Empty(sink.Names);
    }

    [Fact]
    public void An_id_is_valid_if_its_parents_reach_the_root()
    {
        VNodeId a = drive.GivenDirectory(Root, "a");
        VNodeId b = drive.GivenDirectory(a, "b");
        VNodeId file = drive.Given(b, "f");
        Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, Root));
        Assert.Equal(Status.Ok, VerifyReachable.Apply(drive.Head, file));
        Assert.Equal(Status.Stale, VerifyReachable.Apply(drive.Head, new(99)));
        drive.Unlink(b, "f", out _, new SessionId(1));
        Assert.Equal(Status.Stale, VerifyReachable.Apply(drive.Head, file));

        // A circle, which only a bug or a liar makes.
        drive.Run(t =>
        {
            t.PutVNode(a, drive.Head.Get(a) with { Parent = b });
            return Status.Ok;
        });
        Assert.Equal(Status.Corrupt, VerifyReachable.Apply(drive.Head, b));
        drive.GivenDirectory(Root, "m");
        Assert.Throws<RecordCorruptException>(() => drive.Rename(Root, "m", b, "x"));
    }

    private VNodeId Find(VNodeId parent, string name)
    {
        Assert.Equal(Status.Ok, drive.Head.Find(parent, name, out NodeInfo found));
        return found.Id;
    }

    private (Status, VNodeId) Resolve(string path)
    {
        Status status = ResolvePath.Apply(drive.Head, Encoding.UTF8.GetBytes(path), out NodeInfo found);
        return (status, found.Id);
    }
}
