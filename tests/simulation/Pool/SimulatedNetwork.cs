using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Carries messages: late, twice, out of order, or not at all; some ways are cut.</summary>
internal sealed class SimulatedNetwork(PoolWorld world)
{
    private readonly HashSet<(NodeId From, NodeId To)> cut = [];
    private readonly HashSet<(int Client, NodeId Node)> cutClients = [];

    public void Cut(NodeId from, NodeId to) => cut.Add((from, to));

    public void Cut(int client, NodeId node) => cutClients.Add((client, node));

    public void Heal()
    {
        cut.Clear();
        cutClients.Clear();
    }

    public bool IsCut(int client, NodeId node) => cutClients.Contains((client, node));

    public bool IsCut(NodeId from, NodeId to) => cut.Contains((from, to));

    public void Send(NodeId from, NodeId to, Action<SimulatedNode> deliver)
    {
        if (IsCut(from, to) || world.Random.NextDouble() < world.LossRate)
        {
            world.Note("message lost");
            return;
        }

        Deliver(to, deliver);
        if (world.Random.NextDouble() < world.LossRate)
        {
            world.Note("message twice");
            Deliver(to, deliver);
        }
    }

    private void Deliver(NodeId to, Action<SimulatedNode> deliver)
    {
        TimeSpan delay = world.Random.Next(100) == 0 ? world.Between(50, 1500) : world.Between(1, 8);
        SimulatedNode node = world.NodeOf(to);
        world.After(delay, () => node.WhenAwake(() => deliver(node)));
    }
}
