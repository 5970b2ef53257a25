using Google.Protobuf;
using KvFs.Direct;

namespace KvFs.Protocol.V1
{
    /// <content>What only this process knows of it.</content>
    public sealed partial class Request
    {
        /// <summary>The memory of its data, on loan: whoever has answered it disposes it.</summary>
        public AttachedBytes? Lent { get; set; }
    }

    /// <content>What only this process knows of it.</content>
    public sealed partial class Answer
    {
        /// <summary>The memory of its data, on loan: whoever has sent or read it disposes it.</summary>
        public AttachedBytes? Lent { get; set; }
    }

    /// <content>What only this process knows of it.</content>
    public sealed partial class CopyReadReply
    {
        /// <summary>The memory of its data, on loan: whoever has sent or read it disposes it.</summary>
        public AttachedBytes? Lent { get; set; }
    }

    /// <content>What only this process knows of it.</content>
    public sealed partial class StoreBlock
    {
        /// <summary>The memory of its data, on loan: whoever has stored it disposes it.</summary>
        public AttachedBytes? Lent { get; set; }
    }
}

namespace KvFs.Protocol.Wire
{
    /// <summary>The bytes of blocks beside their messages, as direct.proto has it.</summary>
    public static class WireAttachments
    {
        /// <summary>Fewer are not worth it.</summary>
        private const int MinBytes = 16 << 10;

        /// <summary>A message as a direct stream carries it, and the bytes that go with it.</summary>
        public static V1.ClientMessage Detach(this V1.ClientMessage message, out ReadOnlyMemory<byte> attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (!TryTake(message.Request?.WriteBlock?.Data, out attached)) { return message; }
            V1.ClientMessage bare = new(message);
            bare.Request.WriteBlock.Data = ByteString.Empty;
            return bare;
        }

        /// <inheritdoc cref="Detach(V1.ClientMessage, out ReadOnlyMemory{byte})"/>
        public static V1.ServerMessage Detach(this V1.ServerMessage message, out ReadOnlyMemory<byte> attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (!TryTake(message.Answer?.Range?.Data, out attached)) { return message; }
            V1.ServerMessage bare = new(message);
            bare.Answer.Range.Data = ByteString.Empty;
            return bare;
        }

        /// <inheritdoc cref="Detach(V1.ClientMessage, out ReadOnlyMemory{byte})"/>
        public static V1.CopyReadReply Detach(this V1.CopyReadReply message, out ReadOnlyMemory<byte> attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (!TryTake(message.Range?.Data, out attached)) { return message; }
            V1.CopyReadReply bare = new(message);
            bare.Range.Data = ByteString.Empty;
            return bare;
        }

        /// <summary>Puts what came with a message into its place.</summary>
        /// <exception cref="InvalidDataException">It has none.</exception>
        public static void Attach(this V1.ClientMessage message, AttachedBytes? attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (attached is null) { return; }
            V1.WriteBlock write = message.Request?.WriteBlock ?? throw NoPlace();
            write.Data = Wrap(write.Data, attached);
            message.Request.Lent = attached;
        }

        /// <inheritdoc cref="Attach(V1.ClientMessage, AttachedBytes)"/>
        public static void Attach(this V1.ServerMessage message, AttachedBytes? attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (attached is null) { return; }
            V1.BlockRange range = message.Answer?.Range ?? throw NoPlace();
            range.Data = Wrap(range.Data, attached);
            message.Answer.Lent = attached;
        }

        /// <inheritdoc cref="Attach(V1.ClientMessage, AttachedBytes)"/>
        public static void Attach(this V1.CopyReadReply message, AttachedBytes? attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (attached is null) { return; }
            V1.BlockRange range = message.Range ?? throw NoPlace();
            range.Data = Wrap(range.Data, attached);
            message.Lent = attached;
        }

        /// <inheritdoc cref="Attach(V1.ClientMessage, AttachedBytes)"/>
        public static void Attach(this V1.PeerMessage message, AttachedBytes? attached)
        {
            ArgumentNullException.ThrowIfNull(message);
            if (attached is null) { return; }
            V1.StoreBlock store = message.StoreBlock ?? throw NoPlace();
            store.Data = Wrap(store.Data, attached);
            store.Lent = attached;
        }

        private static bool TryTake(ByteString? data, out ReadOnlyMemory<byte> taken)
        {
            taken = data is { Length: >= MinBytes } ? data.Memory : default;
            return !taken.IsEmpty;
        }

        private static ByteString Wrap(ByteString before, AttachedBytes attached) => before.IsEmpty
            ? UnsafeByteOperations.UnsafeWrap(attached.Memory)
            : throw new InvalidDataException("bytes within a message that has others attached");

        private static InvalidDataException NoPlace() => new("bytes attached to a message that has no place for them");
    }
}
