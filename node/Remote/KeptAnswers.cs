using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The last answer of each slot of a session: a change that is sent again is not applied again.</summary>
/// <remarks>Thread safe. In memory; what a primary before this one answered is asked for when its slot is used first. The verdicts are
/// those of <see cref="RequestLedger"/>.</remarks>
/// <param name="earlier">Looks for what a primary before this one kept; null: there was none.</param>
internal sealed class KeptAnswers(Func<V1.Request, EarlierAnswer>? earlier)
{
    private readonly Lock gate = new();
    private readonly Dictionary<uint, Slot> slots = [];

    /// <summary>Decides about a change that has a name.</summary>
    /// <param name="request">The change; its sequence is not 0.</param>
    /// <param name="fromStream">Its answer goes to the session's stream.</param>
    /// <param name="answer">Of a repetition: what was answered, or will be. Null: the stream gets it anyway when it is there, under
    /// the new id.</param>
    public RequestVerdict Begin(V1.Request request, bool fromStream, out Task<V1.Answer>? answer)
    {
        answer = null;
        if (request.Slot >= RequestLedger.Slots) { return RequestVerdict.Invalid; }
        lock (gate)
        {
            if (!slots.TryGetValue(request.Slot, out Slot? slot))
            {
                slot = new();
                if (earlier?.Invoke(request) is { } before)
                {
                    if (before.Verdict is not (RequestVerdict.Apply or RequestVerdict.Repeat)) { return before.Verdict; }
                    if (before.Answer is { } kept) { slot.Set(request.Sequence, kept); }
                }

                slots.Add(request.Slot, slot);
            }

            if (request.Sequence < slot.Sequence) { return RequestVerdict.Outdated; }
            bool isRunning = slot.Answer is { Task.IsCompleted: false };
            if (request.Sequence == slot.Sequence && slot.Answer is not null)
            {
                bool isExpected = isRunning && fromStream && slot.IsForStream;
                if (isExpected) { slot.Id = request.Id; }
                else { answer = slot.Answer.Task; }
                slot.IsForStream |= fromStream;
                return RequestVerdict.Repeat;
            }

            if (isRunning) { return RequestVerdict.Outdated; }
            slot.Sequence = request.Sequence;
            slot.Id = request.Id;
            slot.IsForStream = fromStream;
            slot.Answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return RequestVerdict.Apply;
        }
    }

    /// <summary>The change that <see cref="Begin"/> let through is done: gives its answer the id that it was asked for last.
    /// </summary>
    public void End(V1.Request request, V1.Answer answer)
    {
        lock (gate)
        {
            Slot slot = slots[request.Slot];
            Invariant.Check(slot.Sequence == request.Sequence && slot.Answer is not null);
            answer.Id = slot.Id;
            V1.Answer kept = answer.CalculateSize() <= RequestLedger.ResultBytes
                ? answer
                : new() { Id = answer.Id, Status = V1.Status.Unknown };
            slot.Answer.SetResult(kept);
            bool wasApplied = (int)answer.Status is < 10 or >= 20;
            if (!wasApplied) { slot.Answer = null; }
        }
    }

    private sealed class Slot
    {
        public ulong Sequence { get; set; }

        /// <summary>The id of the request that came last under this sequence.</summary>
        public ulong Id { get; set; }

        /// <summary>Somebody will send the answer to the session's stream.</summary>
        public bool IsForStream { get; set; }

        /// <summary>Null: the last change was not applied, and may be decided anew.</summary>
        public TaskCompletionSource<V1.Answer>? Answer { get; set; }

        /// <summary>A primary before this one has answered.</summary>
        public void Set(ulong sequence, V1.Answer answer)
        {
            Sequence = sequence;
            Answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Answer.SetResult(answer);
        }
    }
}

/// <summary>What a primary before this one kept of a request.</summary>
/// <param name="Verdict">What is to be done with it.</param>
/// <param name="Answer">Of a repetition: what was answered.</param>
internal readonly record struct EarlierAnswer(RequestVerdict Verdict, V1.Answer? Answer);
