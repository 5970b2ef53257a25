namespace KvFs.Core;

/// <summary>A VNode as an answer carries it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="VNode">Its record.</param>
/// <param name="Version">The CoW number that wrote the record: caches compare it.</param>
public readonly record struct NodeInfo(VNodeId Id, VNode VNode, CowNumber Version);

/// <summary>Who asks: what new VNodes belong to, and whose set-id bits are cleared.</summary>
/// <param name="Uid">The caller's file system uid.</param>
/// <param name="Gid">The caller's file system gid.</param>
public readonly record struct Credentials(uint Uid, uint Gid);
