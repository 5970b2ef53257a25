using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>A request whose answer is kept in the transaction that carries it out: so it is there if and only if the effect is, on
/// whichever node is primary.</summary>
public interface IKeptRequest
{
    /// <summary>It will be made durable as soon as it is carried out.</summary>
    bool WantsDurable { get; }

    /// <summary>Where its transaction is in the log; default: nowhere, or committed already.</summary>
    LogIndex Place { get; set; }

    /// <summary>The request is being decided, perhaps anew: what was added before was not carried out.</summary>
    void Begin();

    /// <summary>The request was decided, and wrote something: adds the answer.</summary>
    void Keep<TResult>(in TResult result, DriveTransaction transaction);
}
