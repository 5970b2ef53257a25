using System.Buffers;
using System.Text;
using KvFs.Grpc.Authority;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Authority;

/// <summary>The repair of <c>:authority</c>, byte for byte, without a server.</summary>
public sealed class FrameScannerTests
{
    private const string SocketPath = "/var/lib/kubelet/plugins/kvfs/csi.sock";

    [Theory]
    [InlineData(FieldForm.Remembered, false)]
    [InlineData(FieldForm.Remembered, true)]
    [InlineData(FieldForm.Plain, false)]
    [InlineData(FieldForm.Plain, true)]
    [InlineData(FieldForm.NeverIndexed, true)]
    internal void A_path_becomes_a_host_in_every_form(FieldForm form, bool huffman)
    {
        List<byte> block = [];
        new Hpack().Write(block, ":authority", SocketPath, form, huffman);
        byte[] sent = [.. RawConnection.Preface, .. RawConnection.Frame(1, 4, 1, [.. block])];
        byte[] passed = Pass(sent, sent.Length);
        Assert.Equal(sent.Length, passed.Length);
        Assert.Matches("^localhostx*$", Authorities(passed).Single());
    }

    [Fact]
    public void A_name_that_is_spelled_out_is_known_too()
    {
        foreach (bool huffman in (bool[])[false, true])
        {
            byte[] name = huffman ? Hpack.Huffman(":authority"u8.ToArray()) : ":authority"u8.ToArray();
            byte[] block = [0x00, (byte)(name.Length | (huffman ? 0x80 : 0)), .. name, 5, .. "/sock"u8];
            byte[] sent = [.. RawConnection.Preface, .. RawConnection.Frame(1, 4, 1, block)];
            Assert.Equal("local", Authorities(Pass(sent, sent.Length)).Single());
        }
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("node-1.pool_2:50051")]
    [InlineData("127.0.0.1:1")]
    [InlineData("")]
    public void A_host_stays_as_it_is(string host)
    {
        List<byte> block = [];
        new Hpack().Write(block, ":authority", host, FieldForm.Remembered, huffman: true);
        byte[] sent = [.. RawConnection.Preface, .. RawConnection.Frame(1, 4, 1, [.. block])];
        Assert.Equal(sent, Pass(sent, sent.Length));
    }

    [Fact]
    public void A_coded_value_that_is_longer_than_its_text_is_left_alone()
    {
        List<byte> block = [];
        new Hpack().Write(block, ":authority", "\\\\\\\\", FieldForm.Remembered, huffman: true);
        byte[] sent = [.. RawConnection.Preface, .. RawConnection.Frame(1, 4, 1, [.. block])];
        Assert.Equal(sent, Pass(sent, sent.Length));
    }

    [Fact]
    public void A_header_block_passes_only_as_a_whole()
    {
        List<byte> block = [];
        new Hpack().Write(block, ":authority", SocketPath, FieldForm.Plain, huffman: false);
        byte[] first = RawConnection.Frame(1, 0, 1, [.. block.Take(10)]);
        byte[] second = RawConnection.Frame(9, 4, 1, [.. block.Skip(10)]);
        byte[] sent = [.. RawConnection.Preface, .. first, .. second];
        FrameScanner scanner = new();
        Assert.Equal(24, scanner.Scan(new ReadOnlySequence<byte>(sent.AsMemory(0, sent.Length - 1))));
        Assert.Equal(sent.Length - 24, scanner.Scan(new ReadOnlySequence<byte>(sent.AsMemory(24))));
        Assert.Matches("^localhostx*$", Authorities(sent).Single());
    }

    [Fact]
    public void The_lengths_of_static_names_are_those_of_the_names() =>
        Assert.Equal(Hpack.StaticNames.Select(name => (byte)name.Length), PeerTable.StaticNameLengths.ToArray());

    /// <summary>Whole connections of random requests, in random forms, frames and pieces: every field but the authority is what
    /// it was, every authority is a host, and no byte has moved.</summary>
    [Fact]
    public void A_valid_stream_stays_valid_whatever_it_is()
    {
        for (int round = 0; round < 400; round++)
        {
            int seed = Seeds.Next();
            Random random = new(seed);
            (byte[] sent, List<List<(string Name, string Value)>> requests) = RandomConnection.Build(random);
            string? fault = FaultOf(requests, sent, Pass(sent, random.Next(1, 5000), random));
            Assert.True(fault is null, $"seed {seed}: {fault}");
        }
    }

    [Fact]
    public void Repairs_that_are_missing_or_harm_something_are_found()
    {
        List<List<(string Name, string Value)>> requests = [[(":authority", SocketPath), ("x-first", "abc")], [(":authority", "node")]];
        byte[] Send(params string[] values)
        {
            Hpack writing = new();
            List<byte> first = [];
            writing.Write(first, ":authority", values[0], FieldForm.Remembered, huffman: false);
            writing.Write(first, "x-first", values[1], FieldForm.Remembered, huffman: false);
            List<byte> second = [];
            writing.Write(second, ":authority", values[2], FieldForm.Remembered, huffman: false);
            return [.. RawConnection.Preface, .. RawConnection.Frame(1, 4, 1, [.. first]), .. RawConnection.Frame(1, 4, 3, [.. second])];
        }
        byte[] sent = Send(SocketPath, "abc", "node");
        Assert.Null(FaultOf(requests, sent, Pass(sent, sent.Length)));
        string host = new('h', SocketPath.Length);
        Assert.Null(FaultOf(requests, sent, Send(host, "abc", "node")));
        Assert.NotNull(FaultOf(requests, sent, sent));
        Assert.NotNull(FaultOf(requests, sent, Send(host, "abd", "node")));
        Assert.NotNull(FaultOf(requests, sent, Send(host, "abc", "nodf")));
        Assert.NotNull(FaultOf(requests, sent, Send("h", "abc", "node")));
        Assert.NotNull(FaultOf(requests, sent, sent[..^1]));
    }

    /// <summary>Bytes that are no HTTP/2, or stop being it: nothing throws, nothing is lost, and nothing is held back once the
    /// connection has ended.</summary>
    [Fact]
    public void Garbage_passes_unharmed_to_the_server()
    {
        for (int round = 0; round < 400; round++)
        {
            int seed = Seeds.Next();
            Random random = new(seed);
            (byte[] sent, _) = RandomConnection.Build(random);
            for (int flips = random.Next(1, 20); flips > 0; flips--) { sent[random.Next(sent.Length)] = (byte)random.Next(256); }
            FrameScanner scanner = new();
            long passed = 0;
            for (int end = 0; end < sent.Length;)
            {
                end = Math.Min(sent.Length, end + random.Next(1, 300));
                long more = scanner.Scan(new ReadOnlySequence<byte>(sent.AsMemory((int)passed, end - (int)passed)));
                Assert.True(more >= 0 && more <= end - passed, $"seed {seed}: {more} of {end - passed}");
                passed += more;
            }
        }
    }

    /// <summary>What is wrong with what passed, in words; null if it is a repair of what was sent.</summary>
    private static string? FaultOf(List<List<(string Name, string Value)>> requests, byte[] sent, byte[] passed)
    {
        if (sent.Length != passed.Length) { return "the length changed"; }
        List<List<(string Name, string Value)>> read = RandomConnection.ReadBlocks(passed);
        if (requests.Count != read.Count) { return $"{requests.Count} requests became {read.Count}"; }
        for (int index = 0; index < requests.Count; index++)
        {
            if (requests[index].Count != read[index].Count) { return $"request {index} has other fields"; }
            foreach (var (before, after) in requests[index].Zip(read[index]))
            {
                if (!IsRepairOf(before, after)) { return $"{before} of request {index} became {after}"; }
            }
        }
        return null;
    }

    private static bool IsRepairOf((string Name, string Value) before, (string Name, string Value) after) =>
        before.Name == ":authority" && !IsHost(before.Value)
            ? after.Name == ":authority" && IsHost(after.Value) && after.Value.Length > 0 && after.Value.Length <= before.Value.Length
            : before == after;

    private static bool IsHost(string value) => value.All(each => char.IsAsciiLetterOrDigit(each) || "-._:".Contains(each, StringComparison.Ordinal));

    private static IEnumerable<string> Authorities(byte[] passed) => RandomConnection.ReadBlocks(passed)
        .SelectMany(fields => fields)
        .Where(field => field.Name == ":authority")
        .Select(field => field.Value);

    /// <summary>Feeds bytes in pieces, each in memory of its own, as a pipe would.</summary>
    private static byte[] Pass(byte[] sent, int pieceBytes, Random? random = null)
    {
        FrameScanner scanner = new();
        List<Piece> held = [];
        List<byte> passed = [];
        for (int at = 0; at < sent.Length;)
        {
            int length = Math.Min(sent.Length - at, random?.Next(1, pieceBytes + 1) ?? pieceBytes);
            held.Add(new Piece(sent.AsSpan(at, length).ToArray(), held.LastOrDefault()));
            at += length;
            ReadOnlySequence<byte> input = new(held[0], held[0].Start, held[^1], held[^1].Memory.Length);
            long pass = scanner.Scan(input);
            passed.AddRange(input.Slice(0, pass).ToArray());
            ReadOnlySequence<byte> rest = input.Slice(pass);
            held = rest.IsEmpty ? [] : Rebuild(rest);
        }
        Assert.Empty(held);
        return [.. passed];
    }

    private static List<Piece> Rebuild(in ReadOnlySequence<byte> rest)
    {
        List<Piece> pieces = [];
        foreach (ReadOnlyMemory<byte> memory in rest) { pieces.Add(new Piece(memory.ToArray(), pieces.LastOrDefault())); }
        return pieces;
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] bytes, Piece? before)
        {
            Memory = bytes;
            if (before is null) { return; }
            RunningIndex = before.RunningIndex + before.Memory.Length;
            before.Next = this;
        }

        public int Start { get; }
    }
}
