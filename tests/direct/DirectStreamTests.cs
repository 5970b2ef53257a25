using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;

namespace KvFs.Direct.Tests;

public sealed class DirectStreamTests
{
    private const int HeadBytes = 12;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Messages_of_all_lengths_come_back_as_they_were_sent(bool isTls)
    {
        using DirectWorld world = new(isTls);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received.From(server, echoes: true);
        Received back = Received.From(client);
        Random random = new(7);
        List<byte[]> sent = [];
        foreach (int length in new[] { 0, 1, 11, 12, 13, 65_523, 65_524, 65_525, 200_000, DirectWorld.MessageBytes, 3, 0 })
        {
            byte[] message = new byte[length];
            random.NextBytes(message);
            sent.Add(message);
            client.Send(Marshaller.Bytes, message);
        }

        for (int at = 0; at < 2_000; at++)
        {
            byte[] message = new byte[random.Next(400)];
            random.NextBytes(message);
            sent.Add(message);
            client.Send(Marshaller.Bytes, message);
        }

        foreach (byte[] expected in sent)
        {
            byte[] actual = await back.NextAsync();
            Assert.Equal(expected.Length, actual.Length);
            Assert.True(expected.AsSpan().SequenceEqual(actual));
        }
    }

    [Fact]
    public async Task A_stream_goes_on_while_certificates_are_replaced_and_the_next_one_is_made_with_the_new_ones()
    {
        using DirectWorld world = new(isTls: true);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received.From(server, echoes: true);
        Received back = Received.From(client);
        HashSet<string> shown = [await world.ShownAsync()];
        for (byte round = 0; round < 2; round++)
        {
            string renewed = world.Renew();
            Assert.True(shown.Add(renewed));

            // Files are looked at once a second; what is sent until then, and behind it, arrives.
            using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(20));
            long began = TimeProvider.System.GetTimestamp();
            do
            {
                Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromMinutes(1), "the new certificate is not shown");
                client.Send(Marshaller.Bytes, new byte[] { round, 1 }, new byte[70_000]);
                Assert.Equal([round, 1], await back.NextAsync());
                Assert.Equal(70_000, (await back.NextAttachedAsync()).Length);
                await timer.WaitForNextTickAsync();
            }
            while (await world.ShownAsync() != renewed);

            (DirectStream next, DirectStream nextServer) = await world.ConnectAsync();
            Received.From(nextServer, echoes: true);
            Received nextBack = Received.From(next);
            next.Send(Marshaller.Bytes, new byte[] { round, 2 });
            Assert.Equal([round, 2], await nextBack.NextAsync());
            client.Send(Marshaller.Bytes, new byte[] { round, 3 });
            Assert.Equal([round, 3], await back.NextAsync());
            Assert.False(back.Ended.IsCompleted);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_attached_comes_back_with_its_message_and_leaves_others_alone(bool isTls)
    {
        using DirectWorld world = new(isTls);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received.From(server, echoes: true);
        Received back = Received.From(client);
        Random random = new(8);
        int[] lengths = [1, 65_536 - HeadBytes, 65_537, 4 << 20, 3, DirectWorld.MessageBytes, 100_000];
        List<byte[]> attached = [];
        foreach (int length in lengths)
        {
            byte[] message = new byte[random.Next(300)];
            byte[] bytes = new byte[length];
            random.NextBytes(message);
            random.NextBytes(bytes);
            client.Send(Marshaller.Bytes, message, bytes);
            client.Send(Marshaller.Bytes, new byte[] { 9 });
            attached.Add([.. bytes]);

            // Its memory is the sender's again.
            Array.Clear(bytes);
            Assert.Equal(message, await back.NextAsync());
            Assert.Equal([9], await back.NextAsync());
        }

        foreach (byte[] expected in attached)
        {
            byte[] actual = await back.NextAttachedAsync();
            Assert.True(expected.AsSpan().SequenceEqual(actual));
        }
    }

    [Fact]
    public void Memory_that_was_given_back_is_used_again_and_is_never_anybody_elses_meanwhile()
    {
        List<Memory<byte>> known = [];
        for (int at = 0; at < 50; at++)
        {
            AttachedBytes first = AttachedBytes.Rent(4 << 20);
            using AttachedBytes second = AttachedBytes.Rent((4 << 20) - at);
            Assert.Equal((4 << 20) - at, second.Memory.Length);
            Assert.False(first.Memory.Span.Overlaps(second.Memory.Span));
            foreach (AttachedBytes one in new[] { first, second })
            {
                if (!known.Any(each => each.Span.Overlaps(one.Memory.Span))) { known.Add(one.Memory); }
            }

            first.Dispose();
            first.Dispose();
        }

        Assert.InRange(known.Count, 2, 20);
        using AttachedBytes huge = AttachedBytes.Rent(40 << 20);
        Assert.Equal(40 << 20, huge.Memory.Length);
        Assert.Equal(0, AttachedBytes.Rent(0).Memory.Length);
    }

    [Theory]
    [InlineData(1, 4 << 10)]
    [InlineData(256 << 10, 4 << 10)]
    [InlineData((256 << 10) + 1, 2 << 20)]
    [InlineData(1 << 20, 2 << 20)]
    [InlineData(4 << 20, 2 << 20)]
    [InlineData(5_000_001, 2 << 20)]
    public unsafe void Memory_begins_on_the_boundary_that_its_size_asks_for(int length, int boundary)
    {
        for (int round = 0; round < 3; round++)
        {
            using AttachedBytes bytes = AttachedBytes.Rent(length);
            using System.Buffers.MemoryHandle first = bytes.Memory.Pin();

            Assert.Equal(length, bytes.Memory.Length);
            Assert.Equal(0, (nint)first.Pointer % boundary);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_many_threads_send_comes_whole_and_in_the_order_of_each(bool isTls)
    {
        using DirectWorld world = new(isTls);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received received = Received.From(server);
        const int Threads = 4;
        const int Each = 500;
        Thread[] senders = [.. Enumerable.Range(0, Threads).Select(sender => new Thread(() =>
        {
            for (int number = 0; number < Each; number++)
            {
                byte[] message = new byte[8 + (number * 97 % 3_000)];
                BinaryPrimitives.WriteInt32LittleEndian(message, sender);
                BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(4), number);
                client.Send(Marshaller.Bytes, message);
            }
        }))];
        foreach (Thread sender in senders) { sender.Start(); }
        int[] next = new int[Threads];
        for (int at = 0; at < Threads * Each; at++)
        {
            byte[] message = await received.NextAsync();
            int sender = BinaryPrimitives.ReadInt32LittleEndian(message);
            int number = BinaryPrimitives.ReadInt32LittleEndian(message.AsSpan(4));
            Assert.Equal(next[sender]++, number);
            Assert.Equal(8 + (number * 97 % 3_000), message.Length);
        }

        foreach (Thread sender in senders) { sender.Join(); }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Answers_that_are_kept_back_leave_although_what_follows_is_not_answered(bool isTls)
    {
        using DirectWorld world = new(isTls);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        server.Start(
            "test",
            Marshaller.Bytes,
            long.MaxValue,
            (message, _) =>
            {
                if (message.Span[0] == 1) { server.Send(Marshaller.Bytes, message); }
            },
            static _ => { });
        Received back = Received.From(client);
        Random random = new(3);
        for (int round = 0; round < 200; round++)
        {
            int answered = random.Next(1, 40);
            for (int at = 0; at < answered; at++) { client.Send(Marshaller.Bytes, new byte[] { 1 }); }
            for (int at = random.Next(3); at > 0; at--) { client.Send(Marshaller.Bytes, new byte[] { 0 }); }
            for (int at = 0; at < answered; at++) { Assert.Equal([1], await back.NextAsync()); }
        }
    }

    [Fact]
    public async Task An_answer_does_not_wait_for_the_rest_of_what_comes_behind_its_question()
    {
        using DirectWorld world = new(isTls: false);
        (Socket socket, DirectStream server) = await ConnectRawAsync(world);
        using Socket closing = socket;
        using DirectStream ending = server;
        Received.From(server, echoes: true);
        byte[] next = Frame([8], wrong: false);
        byte[] withAttached = Frame([9], wrong: false);
        BinaryPrimitives.WriteInt32LittleEndian(withAttached.AsSpan(8), 100);
        await socket.SendAsync((byte[])[.. Frame([7], wrong: false), .. next[..5]]);
        Assert.Equal(Frame([7], wrong: false), await ReceiveAsync(socket, next.Length));
        await socket.SendAsync((byte[])[.. next[5..], .. withAttached, 1, 2]);
        Assert.Equal(next, await ReceiveAsync(socket, next.Length));
        await socket.SendAsync(new byte[98]);
        Assert.Equal(withAttached, await ReceiveAsync(socket, withAttached.Length));
    }

    [Fact]
    public async Task Who_sends_never_waits_for_who_does_not_listen_and_nothing_is_lost()
    {
        using DirectWorld world = new(isTls: false);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        byte[] message = new byte[1 << 20];
        for (int at = 0; at < 40; at++)
        {
            message[0] = (byte)at;
            client.Send(Marshaller.Bytes, message);
        }

        Assert.InRange(client.WaitingBytes, 1 << 20, 41 << 20);
        Received received = Received.From(server);
        for (int at = 0; at < 40; at++) { Assert.Equal((byte)at, (await received.NextAsync())[0]); }
    }

    [Fact]
    public async Task Who_does_not_take_answers_is_not_listened_to()
    {
        using DirectWorld world = new(isTls: false);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received heard = Received.From(server, echoes: true, maxWaitingBytes: 1 << 20);
        byte[] message = new byte[1 << 20];
        for (int at = 0; at < 40; at++) { client.Send(Marshaller.Bytes, message); }

        // The kernel holds some MiB; what is heard beyond that waits here.
        await heard.NextAsync();
        Received back = Received.From(client);
        for (int at = 0; at < 40; at++) { await back.NextAsync(); }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_of_one_side_is_the_end_of_the_other(bool isTls)
    {
        using DirectWorld world = new(isTls);
        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received atServer = Received.From(server);
        Received atClient = Received.From(client);
        client.Send(Marshaller.Bytes, new byte[] { 1 });
        Assert.Equal([1], await atServer.NextAsync());
        client.Dispose();
        await atServer.Ended;
        await atClient.Ended;
        server.Send(Marshaller.Bytes, new byte[] { 2 });
        Assert.Equal(0, atClient.Count);
    }

    [Fact]
    public async Task What_does_not_have_its_checksum_or_is_too_long_ends_the_stream()
    {
        using DirectWorld world = new(isTls: false);
        Assert.Contains("checksum", await EndAfterAsync(world, Frame([1, 2, 3], wrong: true)), StringComparison.Ordinal);
        byte[] huge = Frame([], wrong: false);
        BinaryPrimitives.WriteInt32LittleEndian(huge, DirectWorld.MessageBytes + 1);
        Assert.Contains("no more than", await EndAfterAsync(world, huge), StringComparison.Ordinal);
        BinaryPrimitives.WriteInt32LittleEndian(huge, -1);
        Assert.Contains("no more than", await EndAfterAsync(world, huge), StringComparison.Ordinal);
        byte[] attached = Frame([1], wrong: false);
        BinaryPrimitives.WriteInt32LittleEndian(attached.AsSpan(8), -1);
        Assert.Contains("no more than", await EndAfterAsync(world, attached), StringComparison.Ordinal);
        BinaryPrimitives.WriteInt32LittleEndian(attached.AsSpan(8), DirectWorld.MessageBytes + 1);
        Assert.Contains("no more than", await EndAfterAsync(world, attached), StringComparison.Ordinal);
        BinaryPrimitives.WriteInt32LittleEndian(attached.AsSpan(8), 100);
        Assert.Contains("in the middle of what is attached", await EndAfterAsync(world, [.. attached, 1, 2]), StringComparison.Ordinal);
        Assert.Contains("middle", await EndAfterAsync(world, Frame([1, 2, 3], wrong: false)[..(HeadBytes + 1)]), StringComparison.Ordinal);
        Assert.Null(await EndAfterAsync(world, Frame([1, 2, 3], wrong: false)));
    }

    [Fact]
    public async Task No_bytes_whatever_they_are_do_more_than_end_the_stream()
    {
        using DirectWorld world = new(isTls: false);
        for (int seed = 0; seed < 40; seed++)
        {
            Random random = new(seed);
            byte[] bytes = new byte[random.Next(1, 2_000)];
            random.NextBytes(bytes);
            await EndAfterAsync(world, bytes);
        }

        (DirectStream client, DirectStream server) = await world.ConnectAsync();
        Received received = Received.From(server);
        client.Send(Marshaller.Bytes, new byte[] { 5 });
        Assert.Equal([5], await received.NextAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_ticket_is_good_once_and_no_other_is_good(bool isTls)
    {
        using DirectWorld world = new(isTls);

        // The first handshake of a process takes longest, and who dials waits for a second only.
        await world.ConnectAsync();
        Channel<DirectStream> welcomed = Channel.CreateUnbounded<DirectStream>();
        DirectOffer offer = world.Listener.Offer(stream => welcomed.Writer.TryWrite(stream))!.Value;
        DirectOffer forged = offer with { Ticket = new byte[DirectListener.TicketBytes] };
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, forged, DirectWorld.MessageBytes, CancellationToken.None));
        using DirectStream? first = await DirectDial.TryConnectAsync(world.Target, offer, DirectWorld.MessageBytes, CancellationToken.None);
        Assert.NotNull(first);
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, offer, DirectWorld.MessageBytes, CancellationToken.None));
        using DirectStream server = await welcomed.Reader.ReadAsync();
        Assert.Equal(0, welcomed.Reader.Count);
    }

    [Fact]
    public async Task An_offer_that_makes_no_sense_or_leads_nowhere_is_not_taken()
    {
        using DirectWorld world = new(isTls: false);
        DirectOffer offer = world.Listener.Offer(static _ => { })!.Value;
        CancellationToken none = CancellationToken.None;
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, offer with { Ticket = new byte[15] }, 100, none));
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, offer with { Port = 0 }, 100, none));
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, offer with { Port = 70_000 }, 100, none));
        Assert.Null(await DirectDial.TryConnectAsync(GrpcTarget.UnixSocket("/nowhere"), offer, 100, none));
        world.Listener.Dispose();
        Assert.Null(await DirectDial.TryConnectAsync(world.Target, offer, 100, none));
    }

    private static byte[] Frame(byte[] content, bool wrong)
    {
        byte[] frame = new byte[HeadBytes + content.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, content.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(4), Crc32C.Compute(content) + (wrong ? 1u : 0u));
        content.CopyTo(frame, HeadBytes);
        return frame;
    }

    /// <summary>Sends bytes behind a good ticket, ends the connection, and tells how the stream ended at the other side.</summary>
    private static async Task<string?> EndAfterAsync(DirectWorld world, byte[] bytes)
    {
        (Socket socket, DirectStream server) = await ConnectRawAsync(world);
        using Socket closing = socket;
        using DirectStream ending = server;
        Received received = Received.From(server);
        await socket.SendAsync(bytes, SocketFlags.None);
        socket.Shutdown(SocketShutdown.Send);
        return await received.Ended;
    }

    /// <summary>Takes a stream up with nothing but a socket at the client's side.</summary>
    private static async Task<(Socket Client, DirectStream Server)> ConnectRawAsync(DirectWorld world)
    {
        TaskCompletionSource<DirectStream> welcomed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        DirectOffer offer = world.Listener.Offer(welcomed.SetResult)!.Value;
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, offer.Port));
        await socket.SendAsync(offer.Ticket, SocketFlags.None);
        await ReceiveAsync(socket, 1);
        return (socket, await welcomed.Task);
    }

    private static async Task<byte[]> ReceiveAsync(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        int received = 0;
        while (received < count && await socket.ReceiveAsync(bytes.AsMemory(received), SocketFlags.None) is var more and > 0) { received += more; }
        Assert.Equal(count, received);
        return bytes;
    }
}
