using System.Buffers;
using Google.Protobuf;

namespace KvFs.Grpc;

/// <summary>Whether a service can be called now.</summary>
/// <remarks>Wire numbers. Source: grpc/health/v1/health.proto.</remarks>
public enum ServingStatus
{
    Unknown = 0,
    Serving = 1,
    NotServing = 2,

    /// <summary>Only in answers of Watch: no such service yet.</summary>
    ServiceUnknown = 3,
}

/// <summary>The methods of <c>grpc.health.v1.Health</c>. A request is the name of a service, or empty for the whole server.
/// </summary>
public static class HealthMethods
{
    private const string Service = "grpc.health.v1.Health";

    public static GrpcMethod<string, ServingStatus> Check { get; } =
        new(GrpcMethodKind.Unary, Service, "Check", new RequestMarshaller(), new ResponseMarshaller());

    public static GrpcMethod<string, ServingStatus> Watch { get; } =
        new(GrpcMethodKind.ServerStreaming, Service, "Watch", new RequestMarshaller(), new ResponseMarshaller());

    /// <summary><c>message HealthCheckRequest { string service = 1; }</c></summary>
    private sealed class RequestMarshaller : Marshaller<string>
    {
        private static readonly uint Tag = WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited);

        public override int Size(string message) =>
            message.Length == 0 ? 0 : CodedOutputStream.ComputeTagSize(1) + CodedOutputStream.ComputeStringSize(message);

        public override void Write(string message, IBufferWriter<byte> output)
        {
            if (message.Length == 0) { return; }
            byte[] bytes = new byte[Size(message)];
            using CodedOutputStream coded = new(bytes);
            coded.WriteTag(Tag);
            coded.WriteString(message);
            output.Write(bytes);
        }

        public override string Read(in ReadOnlySequence<byte> bytes)
        {
            string service = string.Empty;
            Fields.Read(bytes, Tag, coded => service = coded.ReadString());
            return service;
        }
    }

    /// <summary><c>message HealthCheckResponse { ServingStatus status = 1; }</c></summary>
    private sealed class ResponseMarshaller : Marshaller<ServingStatus>
    {
        private const byte Tag = 1 << 3;

        public override int Size(ServingStatus message) => message == ServingStatus.Unknown ? 0 : 2;

        public override void Write(ServingStatus message, IBufferWriter<byte> output)
        {
            if (message != ServingStatus.Unknown) { output.Write([Tag, (byte)message]); }
        }

        public override ServingStatus Read(in ReadOnlySequence<byte> bytes)
        {
            ServingStatus status = ServingStatus.Unknown;
            Fields.Read(bytes, Tag, coded => status = (ServingStatus)coded.ReadEnum());
            return status;
        }
    }

    /// <summary>A message of one field; fields that a newer peer may know are skipped.</summary>
    private static class Fields
    {
        public static void Read(in ReadOnlySequence<byte> bytes, uint wanted, Action<CodedInputStream> take)
        {
            using CodedInputStream coded = new(bytes.ToArray());
            try
            {
                while (coded.ReadTag() is var tag and not 0)
                {
                    if (tag == wanted) { take(coded); }
                    else { coded.SkipLastField(); }
                }
            }
            catch (InvalidProtocolBufferException e)
            {
                throw new InvalidDataException(e.Message, e);
            }
        }
    }
}
