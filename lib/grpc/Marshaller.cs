using System.Buffers;
using Google.Protobuf;

namespace KvFs.Grpc;

/// <summary>Turns messages of one type into bytes and back.</summary>
/// <remarks>Shared by all calls: implementations are thread safe, usually because they have no state.</remarks>
public abstract class Marshaller<T>
{
    /// <summary>The number of bytes that <see cref="Write"/> will write, exactly.</summary>
    public abstract int Size(T message);

    /// <summary>Writes a message. It must not change between <see cref="Size"/> and here.</summary>
    public abstract void Write(T message, IBufferWriter<byte> output);

    /// <summary>Makes a message. The bytes are lent for the length of this call: what is to be kept is copied.</summary>
    /// <exception cref="InvalidDataException">The bytes are no such message.</exception>
    public abstract T Read(in ReadOnlySequence<byte> bytes);
}

/// <summary>The marshallers that are ready-made.</summary>
public static class Marshaller
{
    /// <summary>Messages as they are: no copy when written, one when read.</summary>
    public static Marshaller<ReadOnlyMemory<byte>> Bytes { get; } = new BytesMarshaller();

    /// <summary>Messages that protoc made.</summary>
    public static Marshaller<T> Protobuf<T>(MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        ArgumentNullException.ThrowIfNull(parser);
        return new ProtobufMarshaller<T>(parser);
    }

    private sealed class BytesMarshaller : Marshaller<ReadOnlyMemory<byte>>
    {
        public override int Size(ReadOnlyMemory<byte> message) => message.Length;

        public override void Write(ReadOnlyMemory<byte> message, IBufferWriter<byte> output) => output.Write(message.Span);

        public override ReadOnlyMemory<byte> Read(in ReadOnlySequence<byte> bytes) => bytes.ToArray();
    }

    private sealed class ProtobufMarshaller<T>(MessageParser<T> parser) : Marshaller<T>
        where T : class, IMessage<T>
    {
        public override int Size(T message) => message.CalculateSize();

        public override void Write(T message, IBufferWriter<byte> output) => message.WriteTo(output);

        public override T Read(in ReadOnlySequence<byte> bytes)
        {
            try
            {
                return parser.ParseFrom(bytes);
            }
            catch (InvalidProtocolBufferException e)
            {
                throw new InvalidDataException(e.Message, e);
            }
        }
    }
}
