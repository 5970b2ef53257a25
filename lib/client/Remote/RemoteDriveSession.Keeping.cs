using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>An answer that may be kept.</summary>
/// <param name="Reply">The answer.</param>
/// <param name="IsKept">Until the primary asks to forget it.</param>
/// <param name="Directory">Of a lookup that is kept: the directory.</param>
internal readonly record struct KeptReply(Reply<NodeInfo> Reply, bool IsKept, NodeInfo Directory);

/// <content>What is asked for to be kept: at the present.</content>
public sealed partial class RemoteDriveSession
{
    internal ValueTask<KeptReply> LookupToKeepAsync(VNodeId parent, ByteString name) =>
        AskToKeepAsync(new() { Lookup = new() { Parent = parent.Value, Name = name } });

    internal ValueTask<KeptReply> GetToKeepAsync(VNodeId id) => AskToKeepAsync(new() { Get = new() { Id = id.Value } });

    /// <returns>What became of it, and whether the page may be kept.</returns>
    internal async ValueTask<(Status Status, bool IsKept)> ReadDirectoryToKeepAsync(VNodeId directory, ulong cookie, DirectoryPage page)
    {
        V1.ReadDirectory read = new()
        {
            Directory = directory.Value,
            Cookie = cookie,
            MaxEntries = DirectoryPage.MaxEntries,
            WithNodes = true,
        };
        Reply<V1.Answer> reply = await AskAsync(new() { Keep = true, ReadDirectory = read }, static answer => answer);
        if (!reply.IsOk) { return (reply.Status, false); }
        try
        {
            (reply.Value.Page ?? throw NoResult()).CopyTo(page);
            return (Status.Ok, reply.Value.Kept);
        }
        catch (InvalidDataException)
        {
            page.Clear();
            return (Status.NotSupported, false);
        }
    }

    private async ValueTask<KeptReply> AskToKeepAsync(V1.Request request)
    {
        request.Keep = true;
        V1.Answer answer = await connection.AskAsync(request);
        try
        {
            Reply<NodeInfo> reply = answer.Status == V1.Status.Ok
                ? Reply.Ok((answer.Node ?? throw NoResult()).ToCore())
                : Reply.Failed<NodeInfo>(answer.Status.ToCore());
            return new(reply, answer.Kept, answer.Directory?.ToCore() ?? default);
        }
        catch (InvalidDataException)
        {
            return new(Reply.Failed<NodeInfo>(Status.NotSupported), false, default);
        }
    }
}
