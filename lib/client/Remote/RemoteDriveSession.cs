using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>A session with a drive of a node in another process.</summary>
/// <remarks>Thread safe. What is lent is copied into a message before a method returns. Broken connections are mended behind it, as
/// <see cref="SessionConnection"/> says. An answer that makes no sense is NotSupported: the node is of another version.</remarks>
public sealed partial class RemoteDriveSession : IDriveSession
{
    private readonly SessionConnection connection;

    internal RemoteDriveSession(SessionConnection connection, SessionAccess access, IBlockService blocks)
    {
        this.connection = connection;
        Access = access;
        Blocks = blocks;
        Drive = connection.Key.Drive.ToDriveId();
    }

    public SessionId Id => connection.Id;

    public DriveId Drive { get; }

    public SessionAccess Access { get; }

    public IBlockService Blocks { get; }

    public Task Expired => connection.Expired;

    /// <summary>How long each request is tried, from when it is asked for, by however many ways and with however many primaries; null, the default: as long
    /// as the session lives. Waits for locks have no end.</summary>
    /// <remarks>What was not done by then is Unavailable. What may have been done is Unknown (TimedOut, if it does not change the drive): it keeps its name, and is
    /// asked again until it is known what became of it; what is changed later comes behind it. What it brings that nobody waits for is given back.</remarks>
    /// <exception cref="InvalidOperationException">The session has its drive for itself: what its client has answered for must reach the primary.</exception>
    public TimeSpan? RequestTime
    {
        get => connection.RequestTime;
        set
        {
            if (value is not null && !Access.IsShared()) { throw new InvalidOperationException("Only requests of who shares a drive are given up."); }
            connection.RequestTime = value;
        }
    }

    /// <summary>A change that was given up may be applied at any moment.</summary>
    internal bool IsInDoubt => connection.IsInDoubt;

    /// <summary>The session is alive for certain: what it knows of its drive still holds.</summary>
    public bool HoldsLease => connection.HoldsLease;

    public void OnRecall(ISessionRecall recall) => connection.OnRecall(recall);

    /// <summary>Names who keeps VNodes: see <see cref="SessionConnection.OnForget"/>.</summary>
    internal void OnForget(Action<IReadOnlyList<ulong>> forget) => connection.OnForget(forget);

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        V1.Lookup lookup = new() { Parent = parent.Value, Name = ByteString.CopyFrom(name) };
        if (at != CowNumber.Head) { lookup.At = at.Value; }
        return AskForNodeAsync(new() { Lookup = lookup });
    }

    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        V1.Get get = new() { Id = id.Value };
        if (at != CowNumber.Head) { get.At = at.Value; }
        return AskForNodeAsync(new() { Get = get });
    }

    public async ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page)
    {
        ArgumentNullException.ThrowIfNull(page);
        V1.ReadDirectory read = new()
        {
            Directory = directory.Value,
            Cookie = cookie,
            MaxEntries = (uint)Math.Clamp(maxEntries, 1, DirectoryPage.MaxEntries),
            WithNodes = withNodes,
        };
        if (at != CowNumber.Head) { read.At = at.Value; }
        Reply<V1.DirectoryPage> reply = await AskAsync(
            new() { ReadDirectory = read }, static answer => answer.Page ?? throw NoResult());
        if (!reply.IsOk) { return reply.Status; }
        try
        {
            reply.Value.CopyTo(page);
            return Status.Ok;
        }
        catch (InvalidDataException)
        {
            page.Clear();
            return Status.NotSupported;
        }
    }

    public ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target)
    {
        ArgumentNullException.ThrowIfNull(target);
        V1.ReadLink read = new() { Id = id.Value };
        if (at != CowNumber.Head) { read.At = at.Value; }
        return AskForBytesAsync(new() { ReadLink = read }, target);
    }

    public ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        V1.GetXattr get = new() { Id = id.Value, Name = ByteString.CopyFrom(name) };
        if (at != CowNumber.Head) { get.At = at.Value; }
        return AskForBytesAsync(new() { GetXattr = get }, value);
    }

    public ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names)
    {
        ArgumentNullException.ThrowIfNull(names);
        V1.ListXattrs list = new() { Id = id.Value };
        if (at != CowNumber.Head) { list.At = at.Value; }
        return AskForBytesAsync(new() { ListXattrs = list }, names);
    }

    /// <exception cref="ArgumentException">Another session is to hold the VNode.</exception>
    public ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request)
    {
        if (request.OpenedBy != default && request.OpenedBy != Id)
        {
            throw new ArgumentException($"Session {Id} cannot hold for session {request.OpenedBy}.", nameof(request));
        }

        return CreateAsync(new() { Create = request.ToWire() }, request.Wish);
    }

    private ValueTask<Reply<NodeInfo>> CreateAsync(V1.Request request, DelegationWish? wish) => AskAsync(request, answer =>
    {
        wish?.IsGranted = answer.Delegated;
        return (answer.Node ?? throw NoResult()).ToCore();
    });

    public ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request) => AskForNodeAsync(new() { Link = request.ToWire() });

    public ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request) =>
        AskForRemovedAsync(new() { Unlink = request.ToWire() });

    public ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request) =>
        AskForRemovedAsync(new() { Rename = request.ToWire() });

    public ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request) =>
        AskForNodeAsync(new() { SetAttributes = request.ToWire() });

    public ValueTask<Status> SetXattrAsync(in SetXattrRequest request) => AskAsync(new() { SetXattr = request.ToWire() });

    public ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request) =>
        AskAsync(new() { RemoveXattr = request.ToWire() });

    public ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id) => AskForNodeAsync(new() { Hold = new() { Id = id.Value } });

    public ValueTask<Status> ReleaseAsync(VNodeId id) => AskAsync(new() { Release = new() { Id = id.Value } });

    public ValueTask<Status> SyncAsync() => AskAsync(new() { Sync = new() });

    private async ValueTask<Status> AskAsync(V1.Request request) => (await connection.AskAsync(request)).Status.ToCore();

    private async ValueTask<Reply<T>> AskAsync<T>(V1.Request request, Func<V1.Answer, T> read)
    {
        V1.Answer answer = await connection.AskAsync(request);
        if (answer.Status != V1.Status.Ok) { return Reply.Failed<T>(answer.Status.ToCore()); }
        try
        {
            return Reply.Ok(read(answer));
        }
        catch (InvalidDataException)
        {
            return Reply.Failed<T>(Status.NotSupported);
        }
    }

    private ValueTask<Reply<NodeInfo>> AskForNodeAsync(V1.Request request) =>
        AskAsync(request, static answer => (answer.Node ?? throw NoResult()).ToCore());

    private ValueTask<Reply<UnlinkResult>> AskForRemovedAsync(V1.Request request) =>
        AskAsync(request, static answer => (answer.Removed ?? throw NoResult()).ToCore());

    private ValueTask<Reply<ulong>> AskForNumberAsync(V1.Request request) =>
        AskAsync(request, static answer => answer.HasNumber ? answer.Number : throw NoResult());

    private async ValueTask<Status> AskForBytesAsync(V1.Request request, ByteBuffer into)
    {
        Reply<ByteString> reply = await AskAsync(
            request, static answer => answer.HasValue ? answer.Value : throw NoResult());
        if (reply.IsOk) { into.Set(reply.Value.Span); }
        return reply.Status;
    }

    private static InvalidDataException NoResult() => new("the answer has not what it is to answer");
}
