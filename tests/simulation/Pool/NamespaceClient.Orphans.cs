using System.Text;
using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <content>Files that a client has open, whether they have a name or not: they are there until it closes them, or its session ends.</content>
internal sealed partial class NamespaceClient
{
    private const int MostOpen = 4;
    private const int NamelessMode = 0x1A4;

    /// <summary>What clients of a drive put files in the place of, which others have open.</summary>
    private const string Replaced = "shared/r";

    /// <summary>By id.</summary>
    private readonly SortedDictionary<VNodeId, OpenFile> open = [];

    /// <summary>Reads an open file that has no name, writes to it, gives it a name, or closes one; or opens another one.</summary>
    private void UseOpen()
    {
        if (open.Count < MostOpen && world.Random.Next(1 + open.Count) == 0)
        {
            OpenOne();
            return;
        }

        (VNodeId id, OpenFile file) = open.ElementAt(world.Random.Next(open.Count));
        switch (world.Random.Next(6))
        {
            case 0 when file.Shown is { } shown:
                WriteOpen(id, file, shown);
                break;
            case 1 when file is { IsLinkable: true, Shown: { } shown } && State.Tree is { } tree:
                LinkOpen(id, file, shown, tree);
                break;
            case > 2 when file.Text is not null:
                ReadOpen(id, file);
                break;
            default:
                Close(id, file);
                break;
        }
    }

    private void OpenOne()
    {
        switch (world.Random.Next(origin is null ? 5 : 3))
        {
            case 0:
                OpenNameless();
                break;
            case < 3:
                OpenAndUnlink();
                break;
            case 3:
                OpenShared();
                break;
            default:
                ReplaceShared();
                break;
        }
    }

    /// <summary>Opens a file, and takes its only name away; or leaves that to what comes: a rename may, or another file takes its place.</summary>
    private void OpenAndUnlink()
    {
        ModelName[] only = State.Tree is not { } tree
            ? []
            : [.. tree.Names().GroupBy(static name => name.Node).Where(group => tree[group.Key].Kind == VNodeKind.File && group.Count() == 1).Select(static group => group.Single())];
        if (only.Length == 0)
        {
            Next();
            return;
        }

        ModelName name = only[world.Random.Next(only.Length)];
        ModelTree before = State.Tree!;
        bool keepsName = world.Random.Next(4) == 0;
        Hold(home + before.PathOf(name), file =>
        {
            if (keepsName)
            {
                GoOn();
                return;
            }

            RemoveName unlink = new(name.Parent, name.Name, Directory: false);
            ModelTree after = before;
            Invariant.Check(unlink.ApplyTo(ref after) == Status.Ok);
            open[file] = open[file] with { Shown = before[name.Node].File };
            world.Note("open file unlinked");
            Commit([unlink], before, Status.Ok, State with { Tree = after });
        });
    }

    /// <summary>Makes a file that has no name, as O_TMPFILE does.</summary>
    private void OpenNameless() => drive.Hold(
        (at, _, result) => Transact(
            at, [new CreateOperation(VNodeId.Root, default, VNodeKind.File) { Mode = NamelessMode, Opened = true, Nameless = true }], result),
        (answer, file) =>
        {
            if (answer.Status == Status.Ok)
            {
                world.Note("file without a name made");
                open.Add(file, new() { Shown = ModelFile.Empty, IsLinkable = true });
            }

            EndOf("a file without a name", IsFull(answer.Status) ? Status.Ok : answer.Status);
        });

    /// <summary>Gives a file its first name.</summary>
    private void LinkOpen(VNodeId file, OpenFile before, ModelFile shown, ModelTree tree)
    {
        string name = $"l{file.Value}";
        ModelTree after = tree.WithNew(ModelTree.Root, name, new(VNodeKind.File) { Mode = NamelessMode, File = shown });
        open[file] = before with { Shown = null, IsLinkable = false };
        world.Note("file without a name linked");
        Do(
            $"the first name of file {file}",
            Status.Ok,
            State with { Tree = after },
            (at, transaction, result) => Transact(at, [new LinkOperation(file, Resolve(transaction, home), Encoding.UTF8.GetBytes(name))], result));
    }

    /// <summary>Opens what clients replace: each such file keeps what it was made with.</summary>
    private void OpenShared() => Hold(Replaced, file =>
    {
        open[file] = open[file] with { Seen = open[file].Seen ?? "" };
        GoOn();
    });

    /// <summary>Makes a file, and puts it in the place of what others may have open.</summary>
    private void ReplaceShared()
    {
        string name = $"r{Number}";
        NodeReference made = NodeReference.ResultOf(0);
        WriteCell write = new(0, 0, tokens++);
        drive.Change(
            (at, transaction, result) =>
            {
                VNodeId directory = Resolve(transaction, Shared);
                if (directory == VNodeId.None) { return Status.NotFound; }
                byte[] bytes = Encoding.UTF8.GetBytes(name);
                return Transact(
                    at,
                    [
                        new CreateOperation(directory, bytes, VNodeKind.File),
                        new CommitOperation(made, write.ToCommit()),
                        new RenameOperation(directory, bytes, directory, "r"u8.ToArray()),
                    ],
                    result);
            },
            (answer, _) =>
            {
                if (answer.Status == Status.NotFound) { MakeShared(); }
                else { EndOf("the replacement of a file", IsFull(answer.Status) ? Status.Ok : answer.Status); }
            });
    }

    /// <summary>Holds a file open that has a name.</summary>
    private void Hold(string path, Action<VNodeId> then)
    {
        SessionId session = drive.Session;
        drive.Hold(
            (at, transaction, result) =>
            {
                VNodeId file = Resolve(transaction, path);
                if (file == VNodeId.None) { return Status.NotFound; }
                result.Append(BitConverter.GetBytes(file.Value));
                return at.Hold(file, session, transaction);
            },
            (answer, file) =>
            {
                if (IsOver(answer.Status)) { Recover(null); }
                else if (answer.Status == Status.NotFound && path == Replaced) { ReplaceShared(); }
                else if (answer.Status != Status.Ok) { throw new PoolFailedException($"client {Number}: the opening of {path} is answered {answer.Status}"); }
                else
                {
                    open[file] = open.TryGetValue(file, out OpenFile? before) ? before with { Times = before.Times + 1 } : new();
                    then(file);
                }
            });
    }

    private void ReadOpen(VNodeId file, OpenFile expected)
    {
        SessionId session = drive.Session;
        drive.Read(
            disk =>
            {
                if (DriveRecords.Load(disk.Records, id, out DriveState? state, out _) != Status.Ok) { return new(Status.SessionExpired); }
                StoredDriveView view = new(disk.Records, state!, CowNumber.Head);
                if (!SessionRecord.Exists(session, view)) { return new(Status.SessionExpired); }
                return new DriveImage(view, disk.Blocks).Read(file) is { } shown ? new(Status.Ok, Text: shown) : new(Status.Stale);
            },
            answer =>
            {
                if (IsOver(answer.Status)) { Recover(null); }
                else if (answer.Status != Status.Ok) { throw new PoolFailedException($"client {Number}: a read of file {file}, which it has open, is answered {answer.Status}"); }
                else if (expected.Text is { Length: > 0 } text && answer.Text != text) { throw Differs($"file {file}: {answer.Text}", text); }
                else
                {
                    world.Note(expected.Shown is null ? "open file that others replace read" : "open file without a name read");
                    if (expected.Shown is null) { open[file] = expected with { Seen = answer.Text }; }
                    GoOn();
                }
            });
    }

    private void WriteOpen(VNodeId file, OpenFile before, ModelFile shown)
    {
        WriteCell write = new((ulong)file.Value, world.Random.Next(3), tokens++);
        drive.Change(
            (at, _, result) => Transact(at, [write.ForCore(_ => file)], result),
            (answer, _) =>
            {
                if (answer.Status == Status.Ok) { open[file] = before with { Shown = shown.With(write.Cell, [write.Token], grows: true) }; }
                EndOf($"a write to file {file}, which has no name,", IsFull(answer.Status) ? Status.Ok : answer.Status);
            });
    }

    private void Close(VNodeId id, OpenFile file) => drive.Release(id, status =>
    {
        if (file.Times > 1) { open[id] = file with { Times = file.Times - 1 }; }
        else { open.Remove(id); }
        EndOf($"the end of file {id}", status);
    });

    private sealed record OpenFile
    {
        /// <summary>How often it is open.</summary>
        public int Times { get; init; } = 1;

        /// <summary>What it shows, and only its client can change; null: it has, or had, a name, and who finds it there may have changed it.
        /// </summary>
        public ModelFile? Shown { get; init; }

        /// <summary>It may be given a name.</summary>
        public bool IsLinkable { get; init; }

        /// <summary>Of what nobody ever changes: what was read of it; empty: nothing yet.</summary>
        public string? Seen { get; init; }

        /// <summary>What must be read of it; empty: whatever it is; null: nobody can tell.</summary>
        public string? Text => Shown?.Text ?? Seen;
    }
}
