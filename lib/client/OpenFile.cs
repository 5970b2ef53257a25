using KvFs.Core;

namespace KvFs.Client;

/// <summary>An open handle of a file. Made by <see cref="DriveClient"/>; closed by it, once.</summary>
/// <remarks>Thread safe, but for <see cref="DriveClient.CloseAsync"/>, after which it is not used any more.</remarks>
public sealed class OpenFile
{
    private int seenErrors;

    internal OpenFile(DriveClient client, FileState state)
    {
        Client = client;
        State = state;
        seenErrors = state.IsErrorSeen ? state.ErrorSequence : state.ErrorSequence - 1;
    }

    /// <summary>Who has made it, and is asked for whatever is done with it.</summary>
    public DriveClient Client { get; }

    public VNodeId Id => State.Id;

    /// <summary>The version that it reads; <see cref="CowNumber.Head"/> for the present one.</summary>
    public CowNumber At => State.At;

    internal FileState State { get; }

    internal ReadAheadState ReadAhead { get; } = new();

    /// <summary>The error of a flush that this handle has not told yet; Ok if there is none. Under the file's gate.
    /// </summary>
    internal Status TakeError()
    {
        if (seenErrors == State.ErrorSequence) { return Status.Ok; }
        seenErrors = State.ErrorSequence;
        State.IsErrorSeen = true;
        return State.LastError;
    }
}
