using KvFs.Core;

namespace KvFs.Mount.Tests.Drive;

/// <summary>Who may have locks on a file.</summary>
public sealed class RangeLockOwnersTests
{
    private const ulong Process = 100;
    private const ulong OpenFileOwner = 200;
    private static readonly VNodeId s_file = new(7);

    private readonly RangeLockOwners owners = new();

    [Fact]
    public void Who_never_locked_has_nothing_to_unlock()
    {
        FileHandle handle = new(1);
        owners.Add(s_file, Process, handle);
        Assert.False(owners.Remove(s_file, OpenFileOwner));
        Assert.False(owners.Remove(new(8), Process));
        Assert.False(owners.TryRemoveAny(s_file, new FileHandle(2), out _));
    }

    [Fact]
    public void A_process_that_closes_any_descriptor_unlocks_once()
    {
        FileHandle handle = new(1);
        owners.Add(s_file, Process, handle);
        owners.Add(s_file, Process, handle);
        Assert.True(owners.Remove(s_file, Process));
        Assert.False(owners.Remove(s_file, Process));
        Assert.False(owners.TryRemoveAny(s_file, handle, out _));
    }

    [Fact]
    public void The_release_of_a_file_unlocks_every_owner_that_locked_through_it()
    {
        FileHandle handle = new(1);
        owners.Add(s_file, Process, handle);
        owners.Add(s_file, OpenFileOwner, handle);
        List<ulong> unlocked = [];
        while (owners.TryRemoveAny(s_file, handle, out ulong owner)) { unlocked.Add(owner); }
        Assert.Equal([Process, OpenFileOwner], unlocked.Order());
    }

    [Fact]
    public void A_lock_that_was_taken_through_another_file_since_outlives_the_first()
    {
        FileHandle first = new(1);
        FileHandle second = new(2);
        owners.Add(s_file, Process, first);
        Assert.True(owners.Remove(s_file, Process));
        owners.Add(s_file, Process, second);
        Assert.False(owners.TryRemoveAny(s_file, first, out _));
        Assert.True(owners.TryRemoveAny(s_file, second, out ulong owner));
        Assert.Equal(Process, owner);
    }
}
