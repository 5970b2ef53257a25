using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Sessions;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>A change that a client gave a name: its answer goes into the log with its effect, for whoever is primary when it is sent
/// again.</summary>
/// <remarks>Used by one thread at a time.</remarks>
internal sealed class NamedRequest(RequestId name) : IKeptRequest
{
    /// <summary>Of a commit: where its files are told.</summary>
    public List<NodeInfo>? Committed { get; set; }

    /// <summary>Of a transaction of several operations: where it is told what they did.</summary>
    public TransactResult? Transacted { get; set; }

    /// <summary>Of a create that asks for the file's writes.</summary>
    public DelegationWish? Wish { get; set; }

    public bool WantsDurable { get; init; }

    public LogIndex Place { get; set; }

    /// <summary>An answer was kept: if the transaction was committed, so is the answer.</summary>
    public bool IsKept { get; private set; }

    public void Begin() => IsKept = false;

    public void Keep<TResult>(in TResult result, DriveTransaction transaction)
    {
        V1.Answer? answer = result switch
        {
            _ when Transacted is { } done => new() { Transacted = done.ToWire() },
            ulong grown when Committed is { } files => OfCommit(files, grown),
            NodeInfo info => new() { Node = info.ToWire(), Delegated = Wish is { IsGranted: true } },
            UnlinkResult removed => new() { Removed = removed.ToWire() },
            LocalDriveSession.RangeStep { Rest.Length: 0 } last => new() { Node = last.Info.ToWire() },
            BlockId first => new() { Number = first.Value },
            VNodeId first => new() { Number = first.Value },
            ulong number => new() { Number = number },
            bool => new(),
            _ => null,
        };
        IsKept = answer is not null;
        if (answer is null) { return; }
        Status kept = RequestLedger.Keep(name, Status.Ok, answer.ToByteArray(), transaction);

        // So that it is not applied again, whatever else is known of it.
        if (kept == Status.TooLarge) { RequestLedger.Keep(name, Status.Unknown, default, transaction); }
    }

    public static V1.Answer OfCommit(List<NodeInfo> files, ulong grown)
    {
        V1.Nodes nodes = new() { GrownBytes = grown };
        foreach (NodeInfo info in files) { nodes.Nodes_.Add(info.ToWire()); }
        return new() { Nodes = nodes };
    }

    /// <summary>Looks for the answer of a request that a primary before this one may have carried out.</summary>
    /// <returns>As <see cref="RequestLedger.Check"/>; Repeat also if what is there cannot be read: the answer says so.</returns>
    public static RequestVerdict Find(HostedDrive drive, RequestId name, out V1.Answer? answer)
    {
        ByteBuffer kept = new();
        Status status = drive.Read(
            CowNumber.Head,
            static (DriveView view, (RequestId Name, ByteBuffer Kept) argument, out (RequestVerdict Verdict, Status Status) found) =>
            {
                found.Verdict = RequestLedger.Check(argument.Name, view, argument.Kept, out found.Status);
                return Status.Ok;
            },
            (name, kept),
            out (RequestVerdict Verdict, Status Status) found);
        answer = status != Status.Ok ? new() { Status = status.ToWire() }
            : found.Verdict == RequestVerdict.Repeat ? Parse(found.Status, kept)
            : null;
        return status == Status.Ok ? found.Verdict : RequestVerdict.Repeat;
    }

    private static V1.Answer Parse(Status status, ByteBuffer kept)
    {
        if (status != Status.Ok) { return new() { Status = status.ToWire() }; }
        try
        {
            return V1.Answer.Parser.ParseFrom(kept.Span);
        }
        catch (InvalidProtocolBufferException)
        {
            return new() { Status = V1.Status.Corrupt };
        }
    }
}
