namespace KvFs.Pki;

/// <summary>What a peer is in its pool. In a URI the names are in lower case.</summary>
public enum PeerRole
{
    /// <summary>A storage node.</summary>
    Node,

    /// <summary>Whoever mounts drives, or uses them through a gateway.</summary>
    Client,

    /// <summary>The operator, which says what belongs to the pool.</summary>
    Operator,

    /// <summary>The CSI driver.</summary>
    Csi,

    /// <summary>A person with the command line.</summary>
    Admin,
}

/// <summary>Which side of a TLS connection a certificate is for: its extended key usages.</summary>
[Flags]
public enum PeerUsages
{
    None = 0,
    Server = 1,
    Client = 2,
}
