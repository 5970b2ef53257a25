using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>What each side sends first: the client, and then the server.</summary>
/// <remarks>
/// Layout, 64 bytes and a reason, little-endian but for the pool's id: 0-7: magic <c>KVFSBLCH</c>; 8-9: version 1; 10-11:
/// bytes of the hello; 12: status; 13-15: zero; 16-31: pool; 32-35: features that the sender has; 36-39: features that it
/// insists on; 40-43: payload of a frame that it takes; 44-47: window; 48-51: requests in flight; 52-55: milliseconds of
/// silence; 56-59: zero; 60-63: CRC-32C of all others; 64 on: why not, at most 255 bytes of UTF-8. Source:
/// docs/block-channel.md#hello.
/// </remarks>
/// <param name="Status">Of a server: Ok, or that it refuses.</param>
/// <param name="Pool">The sender's pool.</param>
/// <param name="PayloadBytes">The largest payload of one frame that the sender takes.</param>
/// <param name="WindowBytes">Of a server: bytes of blocks that may be on their way to it.</param>
/// <param name="Requests">Of a server: requests that may be in flight.</param>
/// <param name="SilenceMs">Of a server: it closes a connection of which it hears nothing for so long.</param>
/// <param name="Reason">Of a server that refuses: why.</param>
internal readonly record struct Hello(
    Status Status, PoolId Pool, int PayloadBytes, int WindowBytes, int Requests, int SilenceMs, string Reason)
{
    /// <summary>Bytes of a hello without a reason.</summary>
    public const int Size = 64;

    public const int MaxBytes = Size + WireLimits.ReasonBytes;

    public const ushort Version = 1;

    /// <summary>Features that this program has. None are defined yet.</summary>
    private const uint Features = 0;

    private const int ChecksumOffset = 60;

    private static ReadOnlySpan<byte> Magic => "KVFSBLCH"u8;

    /// <summary>Writes the hello; answers its length.</summary>
    public int Put(Span<byte> destination)
    {
        destination = destination[..MaxBytes];
        destination[..Size].Clear();
        int length = Size + Wire.Reason.Put(Reason, destination[Size..]);
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], (ushort)length);
        destination[12] = (byte)Status;
        Pool.Write(destination[16..]);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[32..], Features);
        BinaryPrimitives.WriteInt32LittleEndian(destination[40..], PayloadBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[44..], WindowBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[48..], Requests);
        BinaryPrimitives.WriteInt32LittleEndian(destination[52..], SilenceMs);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[ChecksumOffset..], Checksum(destination[..length]));
        return length;
    }

    /// <summary>The length of the hello that starts with these 64 bytes.</summary>
    /// <returns>Ok and a length of 64 to 319; Invalid: this is no hello.</returns>
    public static Status GetLength(ReadOnlySpan<byte> start, out int length)
    {
        length = BinaryPrimitives.ReadUInt16LittleEndian(start[10..]);
        return start.StartsWith(Magic) && length is >= Size and <= MaxBytes ? Status.Ok : Status.Invalid;
    }

    /// <summary>Reads a whole hello.</summary>
    /// <returns>Ok; Corrupt: it is damaged; NotSupported: of another version, or the sender insists on what this program does
    /// not have; Invalid: it makes no sense.</returns>
    public static Status Get(ReadOnlySpan<byte> source, out Hello hello)
    {
        hello = default;
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumOffset..]) != Checksum(source)) { return Status.Corrupt; }
        if (BinaryPrimitives.ReadUInt16LittleEndian(source[8..]) != Version) { return Status.NotSupported; }
        if ((BinaryPrimitives.ReadUInt32LittleEndian(source[36..]) & ~Features) != 0) { return Status.NotSupported; }
        Hello read = new(
            (Status)source[12],
            PoolId.Read(source[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[40..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[44..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[48..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[52..]),
            Wire.Reason.Get(source[Size..]));
        if (read.PayloadBytes is < WireLimits.MinPayloadBytes or > WireLimits.MaxPayloadBytes
            || read.PayloadBytes % Limits.ChecksumUnitBytes != 0
            || read.WindowBytes < 0 || read.Requests is < 0 or > WireLimits.MaxRequests || read.SilenceMs < 0
            || source[13..16].ContainsAnyExcept((byte)0) || source[56..60].ContainsAnyExcept((byte)0))
        {
            return Status.Invalid;
        }

        hello = read;
        return Status.Ok;
    }

    private static uint Checksum(ReadOnlySpan<byte> hello) =>
        Crc32C.Append(Crc32C.Compute(hello[..ChecksumOffset]), hello[Size..]);
}
