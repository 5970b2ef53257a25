using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>A test that runs the program with mounts of its own: where there can be none it is passed over, and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OwnMountsFactAttribute : FactAttribute
{
    public OwnMountsFactAttribute()
    {
        if (LibC.geteuid() != 0) { Skip = "a mount namespace of its own needs root"; }
    }
}
