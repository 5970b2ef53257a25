using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>Small values of messages. What comes from a peer and cannot be is an <see cref="InvalidDataException"/>.</summary>
public static class WireValues
{
    public static ByteString ToWire(this DriveId id)
    {
        Span<byte> bytes = stackalloc byte[DriveId.Size];
        id.Write(bytes);
        return ByteString.CopyFrom(bytes);
    }

    /// <summary>The 16 bytes of a RUID.</summary>
    public static DriveId ToDriveId(this ByteString bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        if (bytes.Length != DriveId.Size) { throw new InvalidDataException($"a RUID has 16 bytes, not {bytes.Length}"); }
        return DriveId.Read(bytes.Span);
    }

    public static V1.Status ToWire(this Status status) => (V1.Status)(int)status;

    /// <summary>A number that this version does not know is final, and says that the peer is newer.</summary>
    public static Status ToCore(this V1.Status status) =>
        Enum.IsDefined(status) ? (Status)(byte)status : Status.NotSupported;

    public static V1.Credentials ToWire(this Credentials caller) => new() { Uid = caller.Uid, Gid = caller.Gid };

    public static Credentials ToCore(this V1.Credentials? caller) =>
        caller is null ? default : new(caller.Uid, caller.Gid);

    public static V1.NodeReference ToWire(this NodeReference reference) =>
        new() { Id = reference.Id.Value, ResultOf = reference.Operation };

    public static NodeReference ToReference(this V1.NodeReference? reference) => reference switch
    {
        null => NodeReference.ResultOf(0),
        { Id: 0 } => NodeReference.ResultOf(reference.ResultOf),
        _ => NodeReference.To(new(reference.Id)),
    };

    /// <summary>The id alone: outside of a transaction there are no earlier operations.</summary>
    public static VNodeId ToId(this V1.NodeReference? reference) => new(reference?.Id ?? 0);

    public static V1.NodeReference ToWire(this VNodeId id) => new() { Id = id.Value };

    /// <summary>The 16 bits that a field of 32 may have.</summary>
    public static ushort To16Bits(uint value) =>
        value <= ushort.MaxValue ? (ushort)value : throw new InvalidDataException($"{value} needs more than 16 bits");

    /// <summary>The 8 bits that an enum of core has.</summary>
    public static byte To8Bits(int value) =>
        value is >= 0 and <= byte.MaxValue ? (byte)value : throw new InvalidDataException($"{value} is in no enum");

    public static V1.NodeTimes? ToWire(this NodeTimes? times) => times is not { } told
        ? null
        : new()
        {
            Access = told.Access.Nanoseconds,
            Modify = told.Modify.Nanoseconds,
            Change = told.Change.Nanoseconds,
            Birth = told.Birth.Nanoseconds,
        };

    public static NodeTimes? ToCore(this V1.NodeTimes? times) =>
        times is null ? null : new(new(times.Access), new(times.Modify), new(times.Change), new(times.Birth));
}
