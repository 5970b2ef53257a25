using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace KvFs.Core;

/// <summary>CRC-32C (Castagnoli; polynomial 0x1EDC6F41, reflected), as in iSCSI (RFC 3720, appendix B.4).</summary>
public static class Crc32C
{
    private const uint ReflectedPolynomial = 0x82F63B78;

    private static readonly uint[] Table = MakeTable();

    /// <summary>The checksum of the bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => Append(0, bytes);

    /// <summary>The checksum of what <paramref name="crc"/> covers followed by the bytes.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        crc = ~crc;
        if (Sse42.X64.IsSupported) { return ~AppendX64(crc, bytes); }
        if (System.Runtime.Intrinsics.Arm.Crc32.Arm64.IsSupported) { return ~AppendArm64(crc, bytes); }
        return ~AppendTable(crc, bytes);
    }

    /// <summary>The same by table: what a processor without the instruction gets, and what tests compare with.</summary>
    public static uint AppendPortable(uint crc, ReadOnlySpan<byte> bytes) => ~AppendTable(~crc, bytes);

    /// <remarks>The instruction has a latency of three cycles and a throughput of one, so three independent lanes run at
    /// once over thirds of a stripe and are joined by <see cref="Shift"/>.</remarks>
    private static uint AppendX64(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= 3 * LaneBytes)
        {
            ReadOnlySpan<ulong> first = MemoryMarshal.Cast<byte, ulong>(bytes[..LaneBytes]);
            ReadOnlySpan<ulong> second = MemoryMarshal.Cast<byte, ulong>(bytes.Slice(LaneBytes, LaneBytes));
            ReadOnlySpan<ulong> third = MemoryMarshal.Cast<byte, ulong>(bytes.Slice(2 * LaneBytes, LaneBytes));
            ulong a = crc;
            ulong b = 0;
            ulong c = 0;
            for (int i = 0; i < LaneBytes / sizeof(ulong); i++)
            {
                a = Sse42.X64.Crc32(a, first[i]);
                b = Sse42.X64.Crc32(b, second[i]);
                c = Sse42.X64.Crc32(c, third[i]);
            }

            crc = Shift(Shift((uint)a) ^ (uint)b) ^ (uint)c;
            bytes = bytes[(3 * LaneBytes)..];
        }

        ulong state = crc;
        while (bytes.Length >= sizeof(ulong))
        {
            state = Sse42.X64.Crc32(state, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        crc = (uint)state;
        foreach (byte value in bytes) { crc = Sse42.Crc32(crc, value); }
        return crc;
    }

    private static uint AppendArm64(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            crc = System.Runtime.Intrinsics.Arm.Crc32.Arm64.ComputeCrc32C(
                crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte value in bytes) { crc = System.Runtime.Intrinsics.Arm.Crc32.ComputeCrc32C(crc, value); }
        return crc;
    }

    private static uint AppendTable(uint crc, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes) { crc = Table[(byte)(crc ^ value)] ^ (crc >> 8); }
        return crc;
    }

    /// <summary>Bytes of one lane. A constant, so that one set of tables serves every stripe.</summary>
    private const int LaneBytes = 1024;

    private static readonly uint[] ShiftTable = MakeShiftTable();

    /// <summary>The register after <see cref="LaneBytes"/> zero bytes: a linear map, by one table per byte.</summary>
    private static uint Shift(uint crc) =>
        ShiftTable[(byte)crc] ^ ShiftTable[256 + (byte)(crc >> 8)]
        ^ ShiftTable[512 + (byte)(crc >> 16)] ^ ShiftTable[768 + (byte)(crc >> 24)];

    private static uint[] MakeShiftTable()
    {
        byte[] zeros = new byte[LaneBytes];
        uint[] byBit = new uint[32];
        for (int bit = 0; bit < byBit.Length; bit++) { byBit[bit] = AppendTable(1U << bit, zeros); }

        uint[] table = new uint[1024];
        for (int lane = 0; lane < 4; lane++)
        {
            for (int value = 0; value < 256; value++)
            {
                uint image = 0;
                for (int bit = 0; bit < 8; bit++)
                {
                    if ((value >> bit & 1) != 0) { image ^= byBit[(lane * 8) + bit]; }
                }

                table[(lane * 256) + value] = image;
            }
        }

        return table;
    }

    private static uint[] MakeTable()
    {
        uint[] table = new uint[256];
        for (uint value = 0; value < 256; value++)
        {
            uint crc = value;
            for (int bit = 0; bit < 8; bit++) { crc = (crc & 1) != 0 ? (crc >> 1) ^ ReflectedPolynomial : crc >> 1; }
            table[value] = crc;
        }

        return table;
    }
}
