using KvFs.Client;

namespace KvFs.Mount;

/// <summary>An open file of the kernel's.</summary>
/// <remarks>Used again for the next open after its release. <see cref="LockOwners"/> is guarded by the table of lock
/// owners; <see cref="AccessNoted"/> may be seen late, which costs one more note.</remarks>
internal sealed class FileHandle(ulong number)
{
    /// <summary>What the kernel calls it.</summary>
    public ulong Number => number;

    /// <summary>Null while the handle is free.</summary>
    public OpenFile? File { get; set; }

    /// <summary>Open for writing: the kernel may have dirty pages of the file.</summary>
    public bool Writes { get; set; }

    /// <summary>Reads move the access time.</summary>
    public bool NotesAccess { get; set; }

    /// <summary>When a read through it was last noted: a timestamp of the mount's clock.</summary>
    public long AccessNoted { get; set; }

    /// <summary>Owners that took a range lock through it, and may have it still; null: none ever did.</summary>
    public List<ulong>? LockOwners { get; set; }
}
