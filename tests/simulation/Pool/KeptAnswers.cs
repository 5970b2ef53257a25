using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>The last answer of each slot of a drive's sessions, in one term, refusals too, as <c>KeptAnswers</c> of a node: a request that comes
/// again while it is carried out waits for the same answer, and is not decided anew.</summary>
internal sealed class KeptAnswers
{
    private readonly Dictionary<(SessionId Session, ushort Slot), Slot> slots = [];

    /// <summary>Whether a request is to be carried out. If not, it is answered when there is an answer, or nobody waits for it.</summary>
    /// <param name="name">Of the request.</param>
    /// <param name="answer">Answers it.</param>
    /// <param name="earlier">What was answered already.</param>
    public bool TryBegin(RequestId name, Action<DriveAnswer> answer, out DriveAnswer? earlier)
    {
        earlier = null;
        if (slots.TryGetValue((name.Session, name.Slot), out Slot? slot) && name.Sequence <= slot.Sequence)
        {
            if (name.Sequence < slot.Sequence) { return false; }
            if (!slot.IsRefused)
            {
                earlier = slot.Answer;
                if (earlier is null) { slot.Waiting.Add(answer); }
                return false;
            }
        }

        slots[(name.Session, name.Slot)] = new(name.Sequence) { Waiting = { answer } };
        return true;
    }

    /// <summary>Answers a request that was carried out; one that was not applied may be decided anew, and none before it.</summary>
    public void End(RequestId name, DriveAnswer answer)
    {
        Slot slot = slots[(name.Session, name.Slot)];
        Invariant.Check(slot.Sequence == name.Sequence && slot.Answer is null);
        if (answer.Status is Status.Busy) { slot.IsRefused = true; }
        else { slot.Answer = answer; }
        foreach (Action<DriveAnswer> each in slot.Waiting) { each(answer); }
        slot.Waiting.Clear();
    }

    private sealed class Slot(ulong sequence)
    {
        public ulong Sequence => sequence;

        public DriveAnswer? Answer { get; set; }

        /// <summary>It was not applied. What came before it in its slot stays answered, and may still be on its way here.</summary>
        public bool IsRefused { get; set; }

        public List<Action<DriveAnswer>> Waiting { get; } = [];
    }
}
