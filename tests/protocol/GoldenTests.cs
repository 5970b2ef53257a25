using System.Text.RegularExpressions;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;

namespace KvFs.Protocol.Tests;

/// <summary>What released versions say on the wire, in <c>golden/wire.txt</c>: what every later version must say and hear.</summary>
/// <remarks>A new line is added by hand; no line is ever changed or taken away.</remarks>
public sealed class GoldenTests
{
    private static readonly string[] s_golden = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "golden", "wire.txt"));

    public static TheoryData<string> Protos =>
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "proto"), "*.proto").Select(path => Path.GetFileName(path)!)];

    [Fact]
    public void Nothing_was_renumbered_or_removed() => Assert.Empty(s_golden.Except(DescriptorText.Lines()));

    [Fact]
    public void Everything_new_is_in_the_golden_file() => Assert.Empty(DescriptorText.Lines().Except(s_golden));

    [Fact]
    public void A_planted_new_number_is_found()
    {
        string[] planted = [.. s_golden.Select(line => line.Replace("Answer.id = 1:", "Answer.id = 2:", StringComparison.Ordinal))];
        Assert.Equal(["kvfs.v1.Answer.id = 2: UInt64"], planted.Except(DescriptorText.Lines()));
    }

    [Fact]
    public void Status_on_the_wire_has_the_numbers_of_core()
    {
        Assert.Equal(
            Enum.GetValues<Status>().Select(status => (status.ToString(), (int)status)),
            Enum.GetValues<V1.Status>().Select(status => (status.ToString(), (int)status)));
        foreach (Status status in Enum.GetValues<Status>()) { Assert.Equal(status, status.ToWire().ToCore()); }
        Assert.Equal(Status.NotSupported, ((V1.Status)200).ToCore());
        Assert.Equal(Status.NotSupported, ((V1.Status)(-1)).ToCore());
        Assert.Equal(Status.NotSupported, ((V1.Status)256).ToCore());
    }

    [Fact]
    public void Enums_on_the_wire_have_the_numbers_of_core()
    {
        AssertSame<VNodeKind, V1.VNodeKind>();
        AssertSame<RangeOperation, V1.RangeOperation>();
        AssertSame<LockType, V1.LockType>();
        AssertSame<LockSpace, V1.LockSpace>();
        AssertSame<DriveKind, V1.DriveKind>();
        AssertSame<SliceKind, V1.RunKind>("Base");
    }

    [Fact]
    public void Every_method_of_the_protos_is_declared_for_both_ends()
    {
        object[] declared =
        [
            .. new[] { typeof(DriveMethods), typeof(BlockMethods), typeof(AdminMethods), typeof(ReplicationMethods), typeof(BlockCopyMethods), typeof(PoolMethods) }
                .SelectMany(type => type.GetProperties())
                .Select(property => property.GetValue(null)!),
        ];
        string[] ours = [.. declared.Select(Describe).Order(StringComparer.Ordinal)];
        Assert.Equal(s_golden.Where(line => line.StartsWith("rpc ", StringComparison.Ordinal)), ours);
    }

    [Theory]
    [MemberData(nameof(Protos))]
    public void Every_message_field_and_method_has_a_comment(string name)
    {
        string[] lines = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "proto", name));
        Regex declaration = new(
            @"^\s*(message |enum |service |rpc |oneof |(optional |repeated )?[\w.]+ \w+ = \d+;|[A-Z_0-9]+ = \d+;)", RegexOptions.CultureInvariant);
        for (int at = 0; at < lines.Length; at++)
        {
            if (!declaration.IsMatch(lines[at])) { continue; }
            bool isOneof = lines[at].TrimStart().StartsWith("oneof ", StringComparison.Ordinal);
            Assert.True(isOneof || lines[at - 1].TrimStart().StartsWith("// ", StringComparison.Ordinal), $"{name}:{at + 1}: {lines[at]}");
        }
    }

    private static string Describe(object method)
    {
        Type[] messages = method.GetType().GetGenericArguments();
        string Get(string property) => method.GetType().GetProperty(property)!.GetValue(method)!.ToString()!;
        GrpcMethodKind kind = Enum.Parse<GrpcMethodKind>(Get("Kind"));
        string request = (kind is GrpcMethodKind.Duplex or GrpcMethodKind.ClientStreaming ? "stream " : "") + NameOf(messages[0]);
        string response = (kind is GrpcMethodKind.Duplex or GrpcMethodKind.ServerStreaming ? "stream " : "") + NameOf(messages[1]);
        return $"rpc {Get("Service")}.{Get("Name")}({request}) returns ({response})";
    }

    private static string NameOf(Type message) =>
        ((Google.Protobuf.Reflection.MessageDescriptor)message.GetProperty("Descriptor")!.GetValue(null)!).FullName;

    private static void AssertSame<TCore, TWire>(params string[] onlyInCore)
        where TCore : struct, Enum
        where TWire : struct, Enum
    {
        IEnumerable<(string, int)> Of<T>()
            where T : struct, Enum =>
            Enum.GetValues<T>().Select(value => (value.ToString(), Convert.ToInt32(value, null))).Where(pair => pair.Item1 != "Unspecified");
        Assert.Equal(Of<TCore>().Where(pair => !onlyInCore.Contains(pair.Item1)), Of<TWire>());
    }
}
