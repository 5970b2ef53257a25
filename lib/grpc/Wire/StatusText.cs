using System.Globalization;

namespace KvFs.Grpc.Wire;

/// <summary>Status numbers as <c>grpc-status</c> has them, made once.</summary>
internal static class StatusText
{
    private static readonly string[] Known =
        [.. Enumerable.Range(0, 17).Select(number => number.ToString(CultureInfo.InvariantCulture))];

    public static string Of(GrpcStatusCode code) =>
        (int)code is >= 0 and <= 16 ? Known[(int)code] : ((int)code).ToString(CultureInfo.InvariantCulture);

    /// <summary>UNKNOWN for what is no number, as the specification wants it.</summary>
    public static GrpcStatusCode Parse(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? (GrpcStatusCode)number
            : GrpcStatusCode.Unknown;
}
