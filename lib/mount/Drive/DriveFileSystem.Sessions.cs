using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>One session after the other, if the drive is shared.</content>
/// <remarks>What a program has open belongs to the session under which it was opened, and fails with it. All else is asked for by VNode, and done under
/// the next session once the present one is over.</remarks>
internal sealed partial class DriveFileSystem
{
    private DriveClient MakeClient(IDriveSession session) => new(session, options.Client, options.Time)
    {
        Flushing = FlushKernelAsync,
        Invalidated = DropKernelCachesAsync,
    };

    /// <summary>Answers with an error, or has done under the next session what for certain was not done because this one is over.</summary>
    private void Refuse(FuseRequest request, Status status)
    {
        if (status == Status.SessionExpired && options.Sessions is not null && !IsOfOpened(request)) { Run(request, RepeatAsync(request)); }
        else { request.ReplyError(StatusErrno.Of(status)); }
    }

    private async ValueTask RepeatAsync(FuseRequest request)
    {
        using CancellationTokenSource late = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
        if (options.RequestTime is { } time) { late.CancelAfter(time); }
        Status status = await clients.WaitAsync(late.Token);
        if (status == Status.Ok) { connection.Repeat(request); }
        else { request.ReplyError(StatusErrno.Of(status)); }
    }

    /// <summary>Whether a request is about something that a program has open.</summary>
    private static bool IsOfOpened(FuseRequest request) => request.Opcode switch
    {
        FuseOpcode.Read or FuseOpcode.Write or FuseOpcode.Flush or FuseOpcode.Release or FuseOpcode.Fsync or FuseOpcode.Fallocate
            or FuseOpcode.Lseek or FuseOpcode.CopyFileRange or FuseOpcode.CopyFileRange64 or FuseOpcode.Getlk or FuseOpcode.Setlk
            or FuseOpcode.Setlkw or FuseOpcode.Readdir or FuseOpcode.Readdirplus or FuseOpcode.Releasedir or FuseOpcode.Fsyncdir => true,
        FuseOpcode.Getattr => (request.Body<FuseGetattrIn>().GetattrFlags & FuseGetattrFlags.Fh) != 0,
        FuseOpcode.Statx => (request.Body<FuseStatxIn>().GetattrFlags & FuseGetattrFlags.Fh) != 0,
        FuseOpcode.Setattr => (request.Body<FuseSetattrIn>().Valid & FuseSetattrValid.Fh) != 0,
        _ => false,
    };
}
