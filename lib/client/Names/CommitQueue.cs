using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Commits that wait for the session's turn: whoever gets it brings those of all, in one transaction.</summary>
/// <remarks>Thread safe. One of those that wait leads: it asks for the turn, takes a group that begins with its own commit, and answers
/// the others. Whoever comes after that is led by the first that was left. Commits that wait at the same time have no file in common
/// (<see cref="BatchOrder"/>).</remarks>
internal sealed class CommitQueue
{
    /// <summary>Files of a group: bounds the answer, which is kept with the transaction, at some 50 KiB.</summary>
    private const int MaxFiles = 256;

    /// <summary>Bytes of a group, with the records of its runs: what one transaction may have is four times that.</summary>
    private const int MaxBytes = Limits.TransactionBytes / 4;

    /// <summary>Of records for one run.</summary>
    private const int RunBytes = 256;

    private readonly Lock gate = new();
    private readonly Queue<WaitingCommit> waiting = new();
    private bool isLed;

    /// <summary>Lets a commit wait.</summary>
    /// <returns>Whether it leads.</returns>
    public bool Enter(WaitingCommit commit)
    {
        lock (gate)
        {
            waiting.Enqueue(commit);
            bool leads = !isLed;
            isLed = true;
            return leads;
        }
    }

    /// <summary>Takes a group for its leader, whose commit is the first, and has the next one led.</summary>
    public List<WaitingCommit> Take()
    {
        lock (gate)
        {
            List<WaitingCommit> group = [waiting.Dequeue()];
            int files = group[0].Commits.Count;
            long bytes = BytesOf(group[0]);
            while (waiting.TryPeek(out WaitingCommit? next))
            {
                files += next.Commits.Count;
                bytes += BytesOf(next);
                if (files > MaxFiles || bytes > MaxBytes) { break; }
                group.Add(waiting.Dequeue());
            }

            isLed = waiting.TryPeek(out WaitingCommit? leader);
            leader?.Lead();
            return group;
        }
    }

    private static long BytesOf(WaitingCommit commit)
    {
        long bytes = 0;
        for (int at = 0; at < commit.Commits.Count; at++)
        {
            bytes += commit.Commits[at].Inline.Length + ((long)RunBytes * (1 + commit.Commits[at].Runs.Count));
        }

        return bytes;
    }
}

/// <summary>A commit that waits.</summary>
/// <param name="Commits">Lent until it is answered.</param>
/// <param name="Results">Gets the answer's VNodes; its owner's again when it is answered.</param>
/// <param name="WantsDurable">As <see cref="IDriveSession.CommitDurablyAsync"/>.</param>
internal sealed record WaitingCommit(IReadOnlyList<FileCommit> Commits, IList<NodeInfo> Results, bool WantsDurable)
{
    private readonly TaskCompletionSource<Reply<bool>?> outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What became of it, brought by another one; null: it leads now.</summary>
    public Task<Reply<bool>?> Outcome => outcome.Task;

    /// <summary>It leads the next group.</summary>
    public void Lead() => outcome.SetResult(null);

    public void Answer(Reply<bool> reply) => outcome.TrySetResult(reply);

    /// <summary>Whoever led met a bug.</summary>
    public void Fail(Exception exception) => outcome.TrySetException(exception);
}
