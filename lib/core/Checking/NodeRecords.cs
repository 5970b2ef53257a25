using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Walks all records of one kind, whose keys begin with a VNode's id, beside a walk over the VNodes.</summary>
internal sealed class NodeRecords : IDisposable
{
    private const int IdEnd = 2 + 8;

    private readonly RecordKind kind;
    private readonly DriveCursor cursor;
    private readonly IFindingSink findings;
    private bool alive;

    public NodeRecords(DriveView view, RecordKind kind, IFindingSink findings)
    {
        this.kind = kind;
        this.findings = findings;
        cursor = view.WalkPrefix(RecordKey.Single(kind));
        Move();
    }

    public ReadOnlySpan<byte> Key => cursor.Key;

    public ReadOnlySpan<byte> Payload => cursor.Payload;

    /// <summary>Whether the current record is one of a VNode; those of ids before it are strays, and are told.</summary>
    public bool IsAt(VNodeId id)
    {
        while (alive && Node < id) { SkipStray(); }
        return alive && Node == id;
    }

    /// <summary>Goes on to the next record.</summary>
    public void Move()
    {
        alive = cursor.MoveNext();
        if (alive && cursor.Key.Length < IdEnd) { throw new RecordCorruptException(Status.Corrupt, cursor.Key); }
    }

    /// <summary>Passes over the records of a VNode that should have none of this kind, and tells so once.</summary>
    public void ExpectNone(VNodeId id)
    {
        if (IsAt(id)) { SkipStray(); }
    }

    /// <summary>Tells what is left: records of VNodes behind the last one.</summary>
    public void Finish()
    {
        while (alive) { SkipStray(); }
    }

    public void Dispose() => cursor.Dispose();

    private VNodeId Node => new(BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[2..]));

    private void SkipStray()
    {
        VNodeId node = Node;
        ulong count = 0;
        for (; alive && Node == node; Move()) { count++; }
        findings.Add(new(FindingKind.StrayRecord, node, VNodeId.None, 0, count, $"{kind} records"));
    }
}
