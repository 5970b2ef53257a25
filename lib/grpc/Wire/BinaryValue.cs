namespace KvFs.Grpc.Wire;

/// <summary>Base64 of values whose name ends in <c>-bin</c>: written without padding, read with or without.</summary>
/// <remarks>Source: PROTOCOL-HTTP2.md, "Custom-Metadata".</remarks>
internal static class BinaryValue
{
    public static string Encode(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=');

    public static bool TryDecode(string text, out byte[] bytes)
    {
        string padded = (text.Length % 4) switch { 2 => text + "==", 3 => text + "=", _ => text };
        bytes = new byte[padded.Length / 4 * 3];
        if (!Convert.TryFromBase64String(padded, bytes, out int length)) { return false; }
        Array.Resize(ref bytes, length);
        return true;
    }
}
