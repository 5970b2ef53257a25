using System.Text;
using System.Text.Unicode;

namespace KvFs.Core;

/// <summary>Shows names to people: they are bytes, and need not be text.</summary>
internal static class NameText
{
    public static string Of(ReadOnlySpan<byte> name) =>
        Utf8.IsValid(name) ? Encoding.UTF8.GetString(name) : $"0x{Convert.ToHexStringLower(name)}";
}
