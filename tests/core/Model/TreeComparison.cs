using System.Text;

namespace KvFs.Core.Tests.Model;

/// <summary>Compares a drive at some version with a model, from the root down, in everything that a user can see.</summary>
internal static class TreeComparison
{
    public static void Equal(ModelTree model, DriveView view)
    {
        Equal(model.Root, view, VNodeId.Root, VNodeId.Root);
    }

    private static void Equal(ModelNode expected, DriveView view, VNodeId id, VNodeId parent)
    {
        Assert.Equal(Status.Ok, GetNode.Apply(view, id, out NodeInfo info));
        VNode found = info.VNode;
        Assert.Equal(
            (expected.Id, expected.Kind, expected.Mode, expected.Uid, expected.Gid, expected.Nlink, expected.Rdev),
            (id, found.Kind, found.Mode, found.Uid, found.Gid, found.Nlink, found.Rdev));
        Assert.Equal(expected.Size, found.Size);
        Assert.Equal(
            (expected.AccessTime, expected.ModifyTime, expected.ChangeTime, expected.BirthTime),
            (found.AccessTime, found.ModifyTime, found.ChangeTime, found.BirthTime));
        Assert.Equal(Status.Ok, VerifyReachable.Apply(view, id));
        EqualXattrs(expected, view, id);
        switch (expected.Kind)
        {
            case VNodeKind.Directory:
                Assert.Equal(parent, found.Parent);
                EqualChildren(expected, view, id);
                break;
            case VNodeKind.Symlink:
                ByteBuffer target = new();
                Assert.Equal(Status.Ok, ReadLink.Apply(view, id, target));
                Assert.Equal(expected.Target, Encoding.UTF8.GetString(target.Span));
                break;
            case VNodeKind.File:
                Assert.Equal(expected.Content, view.Content(id));
                break;
            default:
                break;
        }
    }

    private static void EqualChildren(ModelNode expected, DriveView view, VNodeId id)
    {
        Assert.Equal(expected.Children.Keys, view.Names(id, pageEntries: 2));
        foreach ((string name, ModelNode child) in expected.Children)
        {
            Assert.Equal(Status.Ok, view.Find(id, name, out NodeInfo found));
            Assert.Equal(child.Id, found.Id);
            Equal(child, view, found.Id, id);
        }
    }

    private static void EqualXattrs(ModelNode expected, DriveView view, VNodeId id)
    {
        ByteBuffer names = new();
        Assert.Equal(Status.Ok, ListXattrs.Apply(view, id, names));
        Assert.Equal(string.Concat(expected.Xattrs.Keys.Select(name => name + '\0')), Encoding.UTF8.GetString(names.Span));
        foreach ((string name, byte[] value) in expected.Xattrs)
        {
            Assert.Equal(Status.Ok, view.GetXattr(id, name, out byte[] found));
            Assert.Equal(value, found);
        }
    }
}
