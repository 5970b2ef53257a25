namespace KvFs.Core;

/// <summary>The bounds of a pool map. Each has its unit and its reason.</summary>
public static class PoolLimits
{
    /// <summary>Nodes that a map lists, those that are gone among them: more than one authority can watch over.</summary>
    public const int Nodes = 1024;

    /// <summary>Shards of one pool. At three copies, their entries are about what etcd takes as one value.</summary>
    public const int Shards = 4096;

    /// <summary>Copies of one shard, learners included: a transaction waits for the slowest of those in sync.</summary>
    public const int Copies = 16;

    /// <summary>Copies that a pool may ask for; leaves room for as many learners again.</summary>
    public const int Replicas = 8;

    /// <summary>Bytes of a node's name, place or zone: what Kubernetes allows for the name of an object.</summary>
    public const int NameBytes = 253;

    /// <summary>Addresses of one node.</summary>
    public const int Addresses = 8;

    /// <summary>Bytes of one address: a host name of DNS and what a URL adds.</summary>
    public const int AddressBytes = 300;

    /// <summary>Weight of a node with one share of the ring, in percent.</summary>
    public const uint NormalWeight = 100;

    /// <summary>Highest weight, in percent: ten shares. Bounds the ring to 1,500 points a node.</summary>
    public const uint MaxWeight = 1000;

    /// <summary>Characters that say who accepted a loss, and why: a name, a sentence or two.</summary>
    public const int LossTextBytes = 200;

    /// <summary>Bytes of an encoded map. A larger one is refused before it is parsed.</summary>
    public const int MapBytes = 8 << 20;
}
