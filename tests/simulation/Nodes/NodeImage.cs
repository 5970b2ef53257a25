using System.Text;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

/// <summary>What a node shows its users, read through the session that a mount has, as <see cref="ModelWorld.Image"/> tells
/// what it should show.</summary>
internal static class NodeImage
{
    internal static string Take(IDriveAdmin admin)
    {
        StringBuilder text = new();
        foreach (DriveInfo drive in Ok(admin.ListDrivesAsync(default).Now()).OrderBy(
            static drive => drive.Name, StringComparer.Ordinal))
        {
            IDriveSession session = Ok(admin.OpenSessionAsync(drive.Name, SessionAccess.ReadOnly, default).Now());
            ModelWorld.AppendDrive(text, drive.Name, drive.QuotaBytes, drive.QuotaInodes, TreeAt(session, CowNumber.Head));
            foreach (SnapshotInfo snapshot in Ok(session.ListSnapshotsAsync().Now()).OrderBy(
                static snapshot => snapshot.Name, StringComparer.Ordinal))
            {
                ModelWorld.AppendSnapshot(text, snapshot.Name, TreeAt(session, snapshot.At));
            }

            session.DisposeAsync().Now();
        }

        return text.ToString();
    }

    private static string TreeAt(IDriveSession session, CowNumber at) => new SessionTree(session, at).Take(VNodeId.Root);

    private static T Ok<T>(Reply<T> reply) => reply.IsOk ? reply.Value : throw new Storage.BrokenPromiseException($"a read answers {reply.Status}");

    private sealed class SessionTree(IDriveSession session, CowNumber at) : TreeImage
    {
        protected override NodeInfo Get(VNodeId id) => Ok(session.GetAsync(id, at).Now());

        protected override Status ReadDirectory(VNodeId directory, ulong cookie, DirectoryPage filled) =>
            session.ReadDirectoryAsync(directory, at, cookie, DirectoryPage.MaxEntries, true, filled).Now();

        protected override Status ReadLink(VNodeId id, ByteBuffer target) => session.ReadLinkAsync(id, at, target).Now();

        protected override Status ListXattrs(VNodeId id, ByteBuffer names) => session.ListXattrsAsync(id, at, names).Now();

        protected override Status GetXattr(VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value) =>
            session.GetXattrAsync(id, at, name.ToArray(), value).Now();

        protected override ClusterMap GetCluster(VNodeId id, uint cluster) => Ok(session.GetClusterAsync(id, cluster, at).Now());

        protected override Status ReadBlock(BlockName block, uint offset, byte[] bytes) =>
            session.Blocks.ReadBlockAsync(block, offset, bytes).Now();
    }
}
