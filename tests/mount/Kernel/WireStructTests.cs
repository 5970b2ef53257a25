using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace KvFs.Mount.Tests.Kernel;

public sealed class WireStructTests
{
    private static readonly string[] Protocol =
        File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Kernel", "fuse-protocol.txt"));

    private static readonly Dictionary<string, string> Declarations = Lines("struct fuse_", ':');

    public static TheoryData<string> StructNames => [.. Declarations.Keys];

    [Theory]
    [MemberData(nameof(StructNames))]
    public void Each_structure_has_the_fields_sizes_and_offsets_of_the_protocol(string name)
    {
        Type type = typeof(FuseInHeader).Assembly.GetType("KvFs.Mount.Fuse" + Pascal(name), throwOnError: true)!;
        int offset = 0;
        foreach ((string fieldName, string fieldType, int count) in Fields(Declarations[name]))
        {
            if (count == 0) { continue; }
            int alignment = Alignment(fieldType);
            offset = (offset + alignment - 1) / alignment * alignment;
            FieldInfo? field = type.GetField(Pascal(fieldName), BindingFlags.Public | BindingFlags.Instance);
            Assert.True(field is not null, $"{type.Name} has no {Pascal(fieldName)}");
            Assert.Equal(offset, (int)Marshal.OffsetOf(type, field.Name));
            offset += Size(fieldType) * count;
        }

        int whole = Fields(Declarations[name]).Max(field => Alignment(field.Type));
        Assert.Equal((offset + whole - 1) / whole * whole, Marshal.SizeOf(type));
    }

    [Fact]
    public void Every_operation_has_the_number_of_the_protocol()
    {
        Dictionary<string, string> operations = Lines("opcode ", '=');
        Assert.Equal(operations.Count + 1, Enum.GetValues<FuseOpcode>().Length);
        foreach ((string name, string number) in operations)
        {
            FuseOpcode opcode =
                Enum.Parse<FuseOpcode>(name.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
            Assert.Equal(uint.Parse(number, CultureInfo.InvariantCulture), (uint)opcode);
        }
    }

    [Fact]
    public void Every_flag_of_INIT_has_the_bit_of_the_protocol()
    {
        foreach ((string name, string bit) in Lines("init ", '='))
        {
            FuseInitFlags flag =
                Enum.Parse<FuseInitFlags>(name.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
            Assert.Equal(1UL << int.Parse(bit, CultureInfo.InvariantCulture), (ulong)flag);
        }
    }

    private static Dictionary<string, string> Lines(string prefix, char separator) => Protocol
        .Where(line => line.StartsWith(prefix, StringComparison.Ordinal))
        .Select(line => line[prefix.Length..].Split(separator, 2))
        .ToDictionary(parts => parts[0].Trim(), parts => parts[1].Trim());

    /// <summary>Fields in order; a flexible array at the end has count 0.</summary>
    private static IEnumerable<(string Name, string Type, int Count)> Fields(string declaration)
    {
        foreach (string field in declaration.Split(';', StringSplitOptions.TrimEntries))
        {
            int blank = field.LastIndexOf(' ');
            string name = field[(blank + 1)..];
            int bracket = name.IndexOf('[', StringComparison.Ordinal);
            string digits = bracket < 0 ? "1" : name[(bracket + 1)..^1];
            int count = digits.Length == 0 ? 0 : int.Parse(digits, CultureInfo.InvariantCulture);
            yield return (bracket < 0 ? name : name[..bracket], field[..blank], count);
        }
    }

    private static int Size(string type) => type switch
    {
        "char" => 1,
        "uint16_t" => 2,
        "uint32_t" or "int32_t" => 4,
        "uint64_t" or "int64_t" => 8,
        _ => Fields(Declarations[type["struct fuse_".Length..]]).Sum(field => Size(field.Type) * field.Count),
    };

    private static int Alignment(string type) => type.StartsWith("struct ", StringComparison.Ordinal)
        ? Fields(Declarations[type["struct fuse_".Length..]]).Max(field => Alignment(field.Type))
        : Size(type);

    private static string Pascal(string name) => string.Concat(name.Split('_', StringSplitOptions.RemoveEmptyEntries)
        .Select(part => char.ToUpperInvariant(part[0]) + part[1..]));
}
