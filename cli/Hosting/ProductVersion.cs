using System.Reflection;

namespace KvFs.Cli.Hosting;

internal static class ProductVersion
{
    /// <summary>The version that was built, with the commit if the build knew it.</summary>
    public static string Text { get; } =
        typeof(ProductVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? "unknown";
}
