using System.Buffers.Binary;

namespace KvFs.Grpc.Tests.Support;

/// <summary>What a valid client may send over one connection, at random.</summary>
internal static class RandomConnection
{
    private static readonly string[] Authorities =
    [
        "/var/lib/kubelet/plugins/csi.sock", "/csi.sock", "/a", "localhost", "node:1", "@abstract", "%2Frun%2Fcsi.sock", "[::1]:80",
        "/" + new string('d', 300), "unix:/run/x",
    ];

    private static readonly string[] Names =
        [":path", "content-type", "te", "user-agent", "grpc-timeout", "x-first", "x-second", "cookie", ":authority-not", "host"];

    public static (byte[] Bytes, List<List<(string Name, string Value)>> Requests) Build(Random random)
    {
        List<byte> bytes = [.. RawConnection.Preface, .. RawConnection.Frame(RawConnection.Settings, 0, 0, [])];
        List<List<(string, string)>> requests = [];
        Hpack writing = new();
        int count = random.Next(1, 20);
        for (int number = 0; number < count; number++)
        {
            List<byte> block = [];
            List<(string, string)> fields = [];
            if (random.Next(8) == 0) { writing.WriteResize(block, random.Next(4097)); }
            int authorityAt = random.Next(6);
            for (int place = 0; place < 6; place++)
            {
                string name = place == authorityAt ? ":authority" : Names[random.Next(Names.Length)];
                string value = place == authorityAt
                    ? Authorities[random.Next(Authorities.Length)]
                    : new string((char)('a' + random.Next(26)), random.Next(random.Next(20) == 0 ? 700 : 30));
                FieldForm form = (FieldForm)random.Next(4);
                writing.Write(block, name, value, form, random.Next(2) == 0);
                fields.Add((name, value));
            }
            requests.Add(fields);
            AddFrames(bytes, random, (2 * number) + 1, [.. block]);
            if (random.Next(2) == 0)
            {
                byte[] data = new byte[random.Next(3000)];
                random.NextBytes(data);
                bytes.AddRange(RawConnection.Frame((byte)(random.Next(2) == 0 ? 0 : 8), 0, (2 * number) + 1, data));
            }
        }
        return ([.. bytes], requests);
    }

    /// <summary>The fields of every header block, read as the server would.</summary>
    public static List<List<(string Name, string Value)>> ReadBlocks(byte[] bytes)
    {
        List<List<(string, string)>> read = [];
        Hpack reading = new();
        List<byte> block = [];
        for (int at = RawConnection.Preface.Length; at < bytes.Length;)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(at)) >>> 8;
            (byte type, byte flags) = (bytes[at + 3], bytes[at + 4]);
            ReadOnlySpan<byte> payload = bytes.AsSpan(at + 9, length);
            at += 9 + length;
            if (type is not (RawConnection.Headers or RawConnection.Continuation)) { continue; }
            if (type == RawConnection.Headers && (flags & 8) != 0) { payload = payload[1..^payload[0]]; }
            if (type == RawConnection.Headers && (flags & 0x20) != 0) { payload = payload[5..]; }
            block.AddRange(payload);
            if ((flags & RawConnection.EndHeaders) == 0) { continue; }
            read.Add(reading.Read([.. block]));
            block.Clear();
        }
        return read;
    }

    private static void AddFrames(List<byte> bytes, Random random, int id, byte[] block)
    {
        int pieces = random.Next(3) == 0 ? random.Next(1, 5) : 1;
        int at = 0;
        for (int piece = 0; piece < pieces; piece++)
        {
            int length = piece == pieces - 1 ? block.Length - at : random.Next(block.Length - at + 1);
            byte[] part = block[at..(at + length)];
            at += length;
            byte flags = piece == pieces - 1 ? RawConnection.EndHeaders : (byte)0;
            if (piece > 0)
            {
                bytes.AddRange(RawConnection.Frame(RawConnection.Continuation, flags, id, part));
                continue;
            }
            if (random.Next(3) == 0)
            {
                flags |= 0x20;
                part = [0, 0, 0, 0, 16, .. part];
            }
            if (random.Next(3) == 0)
            {
                flags |= 8;
                byte[] padding = new byte[random.Next(256)];
                part = [(byte)padding.Length, .. part, .. padding];
            }
            bytes.AddRange(RawConnection.Frame(RawConnection.Headers, flags, id, part));
        }
    }
}
