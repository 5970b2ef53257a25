using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Answers reads from the records that a client knows.</summary>
/// <remarks>Under its owner's lock. False: what it read is not known (<see cref="DriveMirror.Miss"/>), or does not fit together (no miss).
/// </remarks>
internal sealed class MirrorReads(DriveMirror mirror, DriveView view)
{
    public bool TryLookup(VNodeId parent, ReadOnlySpan<byte> name, out Reply<NodeInfo> reply)
    {
        reply = default;
        mirror.BeginReading();
        try
        {
            Status status = Lookup.Apply(view, parent, name, out NodeInfo info);
            reply = status == Status.Ok ? Reply.Ok(info) : Reply.Failed<NodeInfo>(status);
        }
        catch (RecordCorruptException)
        {
            return false;
        }

        return mirror.Miss is null;
    }

    public bool TryGet(VNodeId id, out Reply<NodeInfo> reply)
    {
        mirror.BeginReading();
        Status status = GetNode.Apply(view, id, out NodeInfo info);
        reply = status == Status.Ok ? Reply.Ok(info) : Reply.Failed<NodeInfo>(status);
        return mirror.Miss is null;
    }

    /// <summary>Fills a page; of what is not known, it is empty.</summary>
    public bool TryReadDirectory(
        VNodeId directory, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page, out Status status)
    {
        status = Status.Unavailable;
        page.Clear();
        mirror.BeginReading();
        try
        {
            int most = Math.Clamp(maxEntries, 1, DirectoryPage.MaxEntries);
            PageSink sink = new() { Page = page };
            status = ReadDirectory.Apply(view, directory, cookie, most, withNodes, sink, out bool isLast);
            page.IsLast = isLast;
            if (mirror.Miss is null) { return true; }
        }
        catch (RecordCorruptException)
        {
            // What is not known looks like that, too.
        }

        page.Clear();
        return false;
    }

    public bool TryReadLink(VNodeId id, ByteBuffer target, out Status status)
    {
        status = Status.Corrupt;
        mirror.BeginReading();
        try
        {
            status = ReadLink.Apply(view, id, target);
        }
        catch (RecordCorruptException)
        {
            return false;
        }

        return mirror.Miss is null;
    }

    /// <summary>Knows of a VNode without attributes that it has none.</summary>
    public bool TryGetXattr(VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value, out Status status)
    {
        mirror.BeginReading();
        status = GetXattr.Apply(view, id, name, value);
        return mirror.Miss is null;
    }

    public bool TryListXattrs(VNodeId id, ByteBuffer names, out Status status)
    {
        mirror.BeginReading();
        status = ListXattrs.Apply(view, id, names);
        return mirror.Miss is null;
    }
}
