using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Does to a pool what happens to pools.</summary>
/// <remarks>It keeps to what redundancy covers: no power cut takes the last copy that the process which acknowledged it still
/// has in memory, unless <paramref name="cutsAll"/>, after which only what was durable counts.</remarks>
internal sealed class PoolFaults(PoolWorld world, bool cutsAll)
{
    private bool isStopped;

    public void Start()
    {
        world.Noted = StrikeThen;
        world.After(world.Between(200, 2_000), Next);
    }

    /// <summary>All faults end: what is cut is healed, what stopped starts.</summary>
    public void Stop()
    {
        isStopped = true;
        world.Noted = null;
        world.Network.Heal();
        world.LossRate = 0;
        world.Authority.IsAway = false;
        foreach (SimulatedNode node in world.Nodes)
        {
            node.SyncDelay = TimeSpan.FromMilliseconds(5);
            node.IsFull = node.TakesNothing = node.IsStuck = false;
            world.Authority.Heal(node.Id);
            node.Start();
            node.Watch();
        }
    }

    private void Next()
    {
        if (isStopped) { return; }
        SimulatedNode node = world.Nodes[world.Random.Next(world.Nodes.Count)];
        switch (world.Random.Next(21))
        {
            case 0 or 1:
                Kill(node);
                break;
            case 2:
                CutPower(node);
                break;
            case 3:
                Isolate(node);
                break;
            case 4:
                CutOneWay(node);
                break;
            case 5:
                world.Note("pause");
                node.Pause(world.Between(100, 4_000));
                break;
            case 6:
                world.Note("authority away");
                world.Authority.IsAway = true;
                world.After(world.Between(500, 6_000), () => world.Authority.IsAway = false);
                break;
            case 7:
                world.Note("slow disk");
                node.SyncDelay = world.Between(500, 3_000);
                world.After(world.Between(1_000, 5_000), () => node.SyncDelay = TimeSpan.FromMilliseconds(5));
                break;
            case 8:
                world.LossRate = world.Random.NextDouble() * 0.1;
                world.After(world.Between(1_000, 6_000), () => world.LossRate = 0);
                break;
            case 9:
                world.Note("polite stop");
                node.StopPolitely(world.Between(500, 4_000), () => StartLater(node));
                break;
            case 10:
                Hang(node);
                break;
            case 13:
                LoseForGood(node);
                break;
            case 14:
                RestartFrom(0);
                break;
            case 15:
                Split();
                break;
            case 16:
                CutFromAuthority(node);
                break;
            case 17:
                CutClient(node);
                break;
            case 18:
                world.Note("suspend");
                node.Pause(world.Between(4_000, 15_000));
                break;
            case 19 or 20:
                Rot(node, "block rots");
                break;
            case 11 or 12 when cutsAll:
                CutAll();
                break;
            case 11:
                Fill(node);
                break;
            default:
                break;
        }

        world.After(world.Between(200, 4_000), Next);
    }

    private void Fill(SimulatedNode node)
    {
        world.Note("disk full");
        node.IsFull = true;
        node.TakesNothing = world.Random.Next(2) == 0;
        world.After(world.Between(1_000, 8_000), () => node.IsFull = node.TakesNothing = false);
    }

    private void Hang(SimulatedNode node)
    {
        world.Note("stuck disk");
        node.IsStuck = true;
        world.After(world.Between(1_000, 15_000), () => node.IsStuck = false);
    }

    private void Kill(SimulatedNode node)
    {
        world.Note("kill");
        node.Stop(power: false);
        StartLater(node);
    }

    private void CutPower(SimulatedNode node)
    {
        if (!cutsAll && !IsCovered(node)) { return; }
        world.Note("power cut");
        node.Stop(power: true);

        // A disk that lies about a write: what was written last is torn.
        if (world.Random.Next(3) == 0) { Rot(node, "block torn"); }
        StartLater(node);
    }

    /// <summary>A block turns bad at a copy that counts, if two others have it on disk: redundancy covers one loss more until it is mended.
    /// </summary>
    private void Rot(SimulatedNode node, string what)
    {
        if (node.IsGone || world.Nodes.Any(one => one.Disks.Keys.Any(one.HasBad))) { return; }
        foreach (Reign reign in world.Authority.View.Reigns.Where(reign => reign.Entry.IsInSync(node.Id)))
        {
            SimulatedShardDisk[] others = [.. reign.InSync.Where(copy => copy.Node != node.Id).Select(copy => world.NodeOf(copy.Node).Disks[reign.Shard])];
            BlockName[] blocks = [.. node.Disks[reign.Shard].Now.Blocks.Keys.Where(block => others.Count(other => other.HasGood(block)) >= 2)];
            if (blocks.Length == 0) { continue; }
            BlockName block = what == "block torn" ? blocks[^1] : blocks[world.Random.Next(blocks.Length)];
            world.Note(what);
            node.Disks[reign.Shard].Rot(block, world.Bug == PoolBug.SkipChecksums ? 1 : null);
            return;
        }
    }

    private void CutAll()
    {
        world.Note("power cut of all");
        foreach (SimulatedNode node in world.Nodes)
        {
            node.Stop(power: true);
            StartLater(node);
        }
    }

    /// <summary>The power goes where what is stored and what refers to it may part: now and then right behind it.</summary>
    private void StrikeThen(string what, SimulatedNode? node)
    {
        if (cutsAll) { CutAllThen(what); }
        if (what != "snapshot begun" || world.Random.Next(4) != 0) { return; }
        world.After(world.Between(0, 40), () =>
        {
            if (isStopped || !node!.IsUp) { return; }
            world.Note("struck amid a snapshot");
            if (world.Random.Next(2) == 0) { CutPower(node); }
            else { Kill(node); }
        });
    }

    private void CutAllThen(string what)
    {
        if (what is not ("block" or "blocks dropped") || world.Random.Next(what == "block" ? 15 : 3) != 0) { return; }
        world.After(world.Between(0, 8), () =>
        {
            if (!isStopped) { CutAll(); }
        });
    }

    private void StartLater(SimulatedNode node) => world.After(
        world.Random.Next(3) == 0 ? world.Between(20, 400) : world.Between(1_000, 9_000), node.Start);

    private void Isolate(SimulatedNode node)
    {
        world.Note("node cut off");
        foreach (SimulatedNode other in world.Nodes)
        {
            if (other == node) { continue; }
            world.Network.Cut(node.Id, other.Id);
            world.Network.Cut(other.Id, node.Id);
        }

        HealLater();
    }

    private void CutOneWay(SimulatedNode node)
    {
        world.Note("one way cut");
        SimulatedNode other = world.Nodes[world.Random.Next(world.Nodes.Count)];
        if (other != node) { world.Network.Cut(node.Id, other.Id); }
        HealLater();
    }

    /// <summary>The nodes fall into two groups that do not hear each other.</summary>
    private void Split()
    {
        world.Note("pool split");
        HashSet<NodeId> ones = [.. world.Nodes.Where(_ => world.Random.Next(2) == 0).Select(static node => node.Id)];
        foreach (SimulatedNode from in world.Nodes)
        {
            foreach (SimulatedNode to in world.Nodes)
            {
                if (ones.Contains(from.Id) != ones.Contains(to.Id)) { world.Network.Cut(from.Id, to.Id); }
            }
        }

        HealLater();
    }

    private void CutFromAuthority(SimulatedNode node)
    {
        world.Note("authority cut off");
        world.Authority.Cut(node.Id);
        world.After(world.Between(500, 9_000), () =>
        {
            world.Authority.Heal(node.Id);
            node.Watch();
        });
    }

    private void CutClient(SimulatedNode node)
    {
        world.Note("client cut off");
        world.Network.Cut(world.Random.Next(world.Clients.Count + world.NamespaceClients.Count) + 1, node.Id);
        HealLater();
    }

    /// <summary>All nodes restart, one after the other, as with a new version of the program.</summary>
    private void RestartFrom(int at)
    {
        if (at == 0) { world.Note("rolling restart"); }
        if (isStopped || at >= world.Nodes.Count) { return; }
        SimulatedNode node = world.Nodes[at];
        world.After(world.Between(500, 3_000), () => RestartFrom(at + 1));
        node.StopPolitely(world.Between(500, 2_000), () => world.After(world.Between(20, 2_000), node.Start));
    }

    /// <summary>A node is gone with its disk, if others have all that it has; a new one takes its place.</summary>
    private void LoseForGood(SimulatedNode node)
    {
        bool isNeeded = world.Authority.View.Reigns.Any(reign => reign.Entry.IsInSync(node.Id) && reign.InSync.Length < 2);
        bool isMending = world.Nodes.Any(one => one.Disks.Keys.Any(one.HasBad));
        if (world.Operator.UnderWay > 0 || node.IsGone || isNeeded || isMending || !IsCovered(node)) { return; }
        world.Note("node gone");
        node.Lose();
        world.Operator.Replace(node.Id);
    }

    private void HealLater() => world.After(world.Between(500, 8_000), world.Network.Heal);

    /// <summary>Whether for every shard that counts on a node another one of its in-sync replicas has what it acknowledged, and
    /// goes on being one: with the last of two copies in sync no redundancy covers a power cut.</summary>
    private bool IsCovered(SimulatedNode node)
    {
        foreach (Reign reign in world.Authority.View.Reigns)
        {
            if (world.Authority.IsChanging(reign.Shard)) { return false; }
            if (reign.BootOf(node.Id).Value == 0) { continue; }
            if (!reign.InSync.Any(replica => replica.Node != node.Id
                && world.NodeOf(replica.Node).CutBoot < replica.Boot)) { return false; }
        }

        return true;
    }
}
