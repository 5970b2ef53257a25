using System.Net;
using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;

namespace KvFs.Pool.Tests;

/// <summary>A program that uses the client library without a mount: what this assembly does when it is started.</summary>
/// <remarks>Opens a file of a shared drive, which it locks, holds another one that has lost its name, and writes number after number until
/// it is killed. Each is said once it was answered.</remarks>
internal static class ClientProgram
{
    /// <summary>Bytes of the file that it holds and that nobody else can reach.</summary>
    public const int HeldBytes = 2_000_000;

    /// <summary>What this assembly is started as.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, "KvFs.Pool.Tests");

    /// <summary>Writes until it is killed.</summary>
    /// <param name="arguments">The addresses of the nodes, on loopback and joined by commas; a drive; a name in its root.</param>
    public static async Task<int> Main(string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        using PoolDriveAdmin admin = new([.. arguments[0].Split(',')], Dial, new());
        Reply<IDriveSession> session = await admin.OpenSessionAsync(arguments[1], SessionAccess.Shared, CancellationToken.None);
        Assert.Equal(Status.Ok, session.Status);
        await using DriveClient client = new(SessionMemory.Around(session.Value, TimeProvider.System), new(), TimeProvider.System);
        OpenFile held = await Files.CreateAsync(client, arguments[2] + "-held");
        Assert.True((await client.WriteAsync(held, 0, new byte[HeldBytes], default)).IsOk);
        await Files.UnlinkAsync(client, arguments[2] + "-held");

        OpenFile file = await Files.CreateAsync(client, arguments[2]);
        Reply<NodeInfo> node = await client.LookupAsync(VNodeId.Root, System.Text.Encoding.UTF8.GetBytes(arguments[2]), CowNumber.Head);
        FileLock all = new(0, long.MaxValue, LockType.Write, new(session.Value.Id, 1), (uint)Environment.ProcessId);
        Assert.Equal(Status.Ok, await client.Session.SetLockAsync(node.Value.Id, LockSpace.Range, all, false, CancellationToken.None));
        Console.WriteLine("locked");
        for (int number = 0; ; number++)
        {
            Assert.True((await client.WriteAsync(file, (ulong)(number * sizeof(int)), BitConverter.GetBytes(number + 1), default)).IsOk);
            Console.WriteLine(number);
        }
    }

    private static GrpcChannel Dial(string address) =>
        new(GrpcTarget.TcpPlainText("127.0.0.1", IPEndPoint.Parse(address).Port), new() { CallLimits = WireLimits.OfClient });
}
