using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Authority;

/// <summary>The repair in front of a real Kestrel: raw bytes as old grpc-go sends them.</summary>
public sealed class AuthorityOverSocketsTests
{
    private const string SocketPath = "/var/lib/kubelet/plugins/kvfs/csi.sock";

    [Theory]
    [InlineData(FieldForm.Remembered, false, 1)]
    [InlineData(FieldForm.Remembered, true, 1)]
    [InlineData(FieldForm.Plain, false, 3)]
    [InlineData(FieldForm.Plain, true, 3)]
    [InlineData(FieldForm.NeverIndexed, true, 1)]
    [InlineData(FieldForm.Indexed, true, 2)]
    internal async Task A_client_that_sends_the_path_of_the_socket_is_served(FieldForm form, bool huffman, int frames)
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        for (int id = 1; id < 12; id += 2)
        {
            await SendCallAsync(raw, id, SocketPath, form, huffman, frames);
            RawResponse response = await raw.ReadResponseAsync(id);
            Assert.Equal("0", response.Get("grpc-status"));
            Assert.Equal(RawConnection.Message("x"), response.Body);
        }
    }

    [Fact]
    public async Task Without_the_repair_such_a_stream_is_reset()
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        await SendCallAsync(raw, 1, SocketPath, FieldForm.Plain, huffman: false, frames: 1);
        RawResponse response = await raw.ReadResponseAsync(1);
        Assert.True(response.ResetCode is not null || response.Get(":status") == "400");
    }

    [Theory]
    [InlineData("@abstract")]
    [InlineData("%2Frun%2Fcsi.sock")]
    [InlineData("/a")]
    [InlineData("unix:/run/csi.sock")]
    [InlineData("localhost")]
    public async Task Every_spelling_of_a_socket_is_served(string authority)
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        await raw.StartAsync();
        await SendCallAsync(raw, 1, authority, FieldForm.Remembered, huffman: true, frames: 1);
        Assert.Equal("0", (await raw.ReadResponseAsync(1)).Get("grpc-status"));
    }

    [Fact]
    public async Task Bytes_that_come_one_by_one_are_served_too()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using RawConnection raw = await server.ConnectRawAsync();
        byte[] bytes =
        [
            .. RawConnection.Preface,
            .. RawConnection.Frame(RawConnection.Settings, 0, 0, []),
            .. RawConnection.Frame(RawConnection.Headers, RawConnection.EndHeaders, 1, raw.CallBlock(TestServices.Unary.Path, SocketPath)),
            .. RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, 1, RawConnection.Message("x")),
        ];
        foreach (byte each in bytes) { await raw.SendAsync([each]); }
        Assert.Equal("0", (await raw.ReadResponseAsync(1)).Get("grpc-status"));
    }

    private static async Task SendCallAsync(RawConnection raw, int id, string authority, FieldForm form, bool huffman, int frames)
    {
        List<byte> block = [];
        raw.Writing.Write(block, ":method", "POST", FieldForm.Indexed, huffman);
        raw.Writing.Write(block, ":scheme", "http", FieldForm.Indexed, huffman);
        raw.Writing.Write(block, ":path", TestServices.Unary.Path, FieldForm.Indexed, huffman);
        raw.Writing.Write(block, ":authority", authority, form, huffman);
        raw.Writing.Write(block, "content-type", "application/grpc", FieldForm.Indexed, huffman);
        int part = block.Count / frames;
        for (int frame = 0; frame < frames; frame++)
        {
            bool last = frame == frames - 1;
            await raw.SendAsync(
                frame == 0 ? RawConnection.Headers : RawConnection.Continuation,
                last ? RawConnection.EndHeaders : (byte)0,
                id,
                [.. block.Skip(frame * part).Take(last ? block.Count : part)]);
        }
        await raw.SendAsync(RawConnection.Data, RawConnection.EndStream, id, RawConnection.Message("x"));
    }
}
