using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xunit.Abstractions;

namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseRequestParserFuzzTests(ITestOutputHelper output)
{
    private const int Cases = 100_000;
    private const int MaxData = 64 << 10;

    [Fact]
    public void Random_bytes_never_escape_the_parser()
    {
        (Random random, int seed) = NewRandom();
        for (int i = 0; i < Cases; i++)
        {
            byte[] request = new byte[random.Next(0, 300)];
            random.NextBytes(request);
            if (request.Length >= 8)
            {
                // Most lengths and opcodes at random would fail at once.
                if (random.Next(4) != 0) { MemoryMarshal.Write(request, (uint)request.Length); }
                if (random.Next(4) != 0) { MemoryMarshal.Write(request.AsSpan(4), (uint)random.Next(0, 60)); }
                if (random.Next(4) != 0 && request.Length >= 40) { request.AsSpan(36, 2).Clear(); }
            }

            Check(request, random, seed, i);
        }
    }

    [Fact]
    public void Mutated_requests_never_escape_the_parser()
    {
        (Random random, int seed) = NewRandom();
        byte[][] valid = [.. ValidRequests.All()];
        for (int i = 0; i < Cases; i++)
        {
            List<byte> request = [.. valid[random.Next(valid.Length)]];
            for (int mutation = random.Next(1, 4); mutation > 0; mutation--) { Mutate(request, random); }
            byte[] bytes = [.. request];
            if (random.Next(3) != 0 && bytes.Length >= 4) { MemoryMarshal.Write(bytes, (uint)bytes.Length); }
            Check(bytes, random, seed, i);
        }
    }

    [Fact]
    public void Every_operation_has_a_valid_request_that_passes()
    {
        FuseParserSettings settings = new(MaxData, SetxattrExt: true);
        HashSet<FuseOpcode> seen = [];
        foreach (byte[] request in ValidRequests.All())
        {
            FuseParseOutcome outcome = FuseRequestParser.Parse(request, settings, out FuseParsedRequest parsed);
            Assert.True(outcome == FuseParseOutcome.Valid, $"{parsed.Header.Opcode}: {Errno.Name(parsed.ErrorNumber)}");
            seen.Add(parsed.Header.Opcode);
        }

        FuseOpcode[] unserved =
            [FuseOpcode.None, FuseOpcode.NotifyReply, FuseOpcode.Setupmapping, FuseOpcode.Removemapping];
        Assert.Equal(Enum.GetValues<FuseOpcode>().Except(unserved).Order(), seen.Order());
    }

    private (Random Random, int Seed) NewRandom()
    {
        string? given = Environment.GetEnvironmentVariable("KVFS_SEED");
        int seed = given is null ? Random.Shared.Next() : int.Parse(given, CultureInfo.InvariantCulture);
        output.WriteLine($"KVFS_SEED={seed}");
        return (new Random(seed), seed);
    }

    private static void Mutate(List<byte> request, Random random)
    {
        int at = random.Next(request.Count);
        switch (random.Next(5))
        {
            case 0:
                request[at] = (byte)random.Next(256);
                break;
            case 1:
                request[at] ^= (byte)(1 << random.Next(8));
                break;
            case 2 when request.Count > 1:
                request.RemoveRange(at, random.Next(1, request.Count - at + 1));
                if (request.Count == 0) { request.Add(0); }
                break;
            case 3:
                request.InsertRange(at, new byte[random.Next(1, 300)]);
                break;
            default:
                for (int i = at; i < Math.Min(at + 8, request.Count); i++) { request[i] = 0xFF; }
                break;
        }
    }

    /// <summary>Parses, and holds what the parser promises: an errno where refused, ranges within the
    /// request.</summary>
    private static void Check(byte[] request, Random random, int seed, int number)
    {
        FuseParserSettings settings = new(MaxData, SetxattrExt: random.Next(2) == 0);
        try
        {
            FuseParseOutcome outcome = FuseRequestParser.Parse(request, settings, out FuseParsedRequest parsed);
            if (outcome == FuseParseOutcome.Unanswerable) { return; }
            Assert.Equal(outcome == FuseParseOutcome.Refused, parsed.ErrorNumber != 0);
            Assert.InRange(parsed.ErrorNumber, 0, Errno.Largest);
            if (outcome != FuseParseOutcome.Valid) { return; }
            AssertWithin(request, parsed.NameOffset, parsed.NameLength);
            AssertWithin(request, parsed.SecondNameOffset, parsed.SecondNameLength);
            AssertWithin(request, parsed.PayloadOffset, parsed.PayloadLength);
            Assert.InRange(parsed.ReplyCapacity, 0, MaxData);
            Assert.DoesNotContain((byte)0, request.AsSpan(parsed.NameOffset, parsed.NameLength).ToArray());
            Assert.True(
                BodyBytes(parsed.Header.Opcode) <= request.Length - FuseParsedRequest.BodyOffset,
                "a handler may read the whole body");
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            Assert.Fail($"KVFS_SEED={seed}, case {number}: {e}");
        }
    }

    private static void AssertWithin(byte[] request, int offset, int length)
    {
        Assert.True(length >= 0);
        Assert.True(length == 0 || offset >= FuseParsedRequest.BodyOffset);
        Assert.True(offset + length <= request.Length);
    }

    private static int BodyBytes(FuseOpcode opcode) => opcode switch
    {
        FuseOpcode.Setattr => Unsafe.SizeOf<FuseSetattrIn>(),
        FuseOpcode.Read or FuseOpcode.Readdir or FuseOpcode.Readdirplus => Unsafe.SizeOf<FuseReadIn>(),
        FuseOpcode.Write => Unsafe.SizeOf<FuseWriteIn>(),
        FuseOpcode.Getlk or FuseOpcode.Setlk or FuseOpcode.Setlkw => Unsafe.SizeOf<FuseLkIn>(),
        FuseOpcode.Create or FuseOpcode.Tmpfile => Unsafe.SizeOf<FuseCreateIn>(),
        FuseOpcode.Rename2 => Unsafe.SizeOf<FuseRename2In>(),
        FuseOpcode.Ioctl => Unsafe.SizeOf<FuseIoctlIn>(),
        FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64 => Unsafe.SizeOf<FuseCopyFileRangeIn>(),
        FuseOpcode.Release or FuseOpcode.Releasedir => Unsafe.SizeOf<FuseReleaseIn>(),
        FuseOpcode.Flush => Unsafe.SizeOf<FuseFlushIn>(),
        FuseOpcode.Statx => Unsafe.SizeOf<FuseStatxIn>(),
        _ => 0,
    };
}
