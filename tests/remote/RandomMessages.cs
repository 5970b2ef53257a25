using System.Text;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace KvFs.Remote.Tests;

/// <summary>Messages whose fields have anything that their types allow, with a liking for what comes close to sense.</summary>
internal sealed class RandomMessages(int seed)
{
    private readonly Random random = new(seed);

    public T Next<T>()
        where T : IMessage, new()
    {
        T message = new();
        Fill(message, depth: 0);
        return message;
    }

    public int Below(int count) => random.Next(count);

    public byte[] Bytes(int upTo)
    {
        byte[] bytes = new byte[random.Next(upTo)];
        random.NextBytes(bytes);
        return bytes;
    }

    private void Fill(IMessage message, int depth)
    {
        MessageDescriptor descriptor = message.Descriptor;
        foreach (OneofDescriptor oneof in descriptor.Oneofs)
        {
            if (oneof.IsSynthetic || random.Next(50) == 0) { continue; }
            Set(message, oneof.Fields[random.Next(oneof.Fields.Count)], depth);
        }

        foreach (FieldDescriptor field in descriptor.Fields.InDeclarationOrder())
        {
            if (field.RealContainingOneof is not null || random.Next(6) == 0) { continue; }
            if (!field.IsRepeated)
            {
                Set(message, field, depth);
                continue;
            }

            System.Collections.IList list = (System.Collections.IList)field.Accessor.GetValue(message);
            int most = random.Next(40) == 0 ? 1100 : 4;
            for (int count = random.Next(most); count > 0; count--) { list.Add(Value(field, depth)); }
        }
    }

    private void Set(IMessage message, FieldDescriptor field, int depth) => field.Accessor.SetValue(message, Value(field, depth));

    private object Value(FieldDescriptor field, int depth)
    {
        switch (field.FieldType)
        {
            case FieldType.Message:
                IMessage inner = field.MessageType.Parser.ParseFrom(ByteString.Empty);
                if (depth < 6) { Fill(inner, depth + 1); }
                return inner;
            case FieldType.Bool:
                return random.Next(2) == 0;
            case FieldType.UInt32 or FieldType.Fixed32:
                return (uint)Number();
            case FieldType.Int32:
                return random.Next(4) == 0 ? (int)Number() : random.Next(4);
            case FieldType.UInt64 or FieldType.Fixed64:
                return Number();
            case FieldType.SFixed64:
                return (long)Number();
            case FieldType.Enum:
                int value = random.Next(10) == 0 ? (int)Number() : random.Next(9);
                return Enum.ToObject(field.EnumType.ClrType, value);
            case FieldType.Bytes:
                return ByteString.CopyFrom(Text());
            case FieldType.String:
                return Encoding.UTF8.GetString(Text());
            default:
                throw new InvalidOperationException($"{field.FieldType}: not in our protos so far");
        }
    }

    private ulong Number() => random.Next(12) switch
    {
        0 => ulong.MaxValue,
        1 => 1UL << random.Next(64),
        2 => (1UL << random.Next(64)) - 1,
        3 => (ulong)random.Next(1 << 24),
        4 => 4096 * (ulong)random.Next(100),
        _ => (ulong)random.Next(12),
    };

    private byte[] Text() => random.Next(8) switch
    {
        0 => [],
        1 => Bytes(5000),
        2 => Bytes(16),
        3 => "user.x"u8.ToArray(),
        4 => "system.posix_acl_access"u8.ToArray(),
        _ => Encoding.UTF8.GetBytes($"n{random.Next(9)}"),
    };
}
