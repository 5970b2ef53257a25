using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Crash;

/// <summary>The program that <see cref="KillTests"/> starts and kills: a node and a mount in a process of their own.</summary>
/// <remarks>Arguments: the test's folder. Says <see cref="Ready"/> when it is mounted. Ends in order, unmounted, when its
/// input ends, so that it does not outlive a test host that died.</remarks>
internal static class VictimServer
{
    public const string Ready = "mounted";

    public static async Task<int> Main(string[] arguments)
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync(TestFolder.At(arguments[0]));
        Console.WriteLine(Ready);
        while (await Console.In.ReadLineAsync() is not null) { }
        return 0;
    }
}
