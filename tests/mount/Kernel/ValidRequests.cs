namespace KvFs.Mount.Tests.Kernel;

/// <summary>At least one well-formed request of every operation.</summary>
internal static class ValidRequests
{
    public static IEnumerable<byte[]> All()
    {
        yield return Of(FuseOpcode.Lookup).Name("name").Build();
        yield return Of(FuseOpcode.Forget).Add(new FuseForgetIn { Nlookup = 3 }).Build();
        yield return new RequestBytes(FuseOpcode.BatchForget) { NodeId = 0, Unique = 0 }
            .Add(new FuseBatchForgetIn { Count = 2 }).Add(new FuseForgetOne { Nodeid = 5, Nlookup = 1 })
            .Add(new FuseForgetOne { Nodeid = 6, Nlookup = 2 }).Build();
        yield return Of(FuseOpcode.Getattr).Add(default(FuseGetattrIn)).Build();
        yield return Of(FuseOpcode.Setattr).Add(new FuseSetattrIn { Valid = FuseSetattrValid.Size, Size = 9 }).Build();
        yield return Of(FuseOpcode.Statx).Add(default(FuseStatxIn)).Build();
        yield return Of(FuseOpcode.Readlink).Build();
        yield return Of(FuseOpcode.Symlink).Name("link").Name("some/target").Build();
        yield return Of(FuseOpcode.Mknod).Add(new FuseMknodIn { Mode = 0x1000 }).Name("fifo").Build();
        yield return Of(FuseOpcode.Mkdir).Add(new FuseMkdirIn { Mode = 0x1ED }).Name("dir").Groups(12).Build();
        yield return Of(FuseOpcode.Unlink).Name("file").Build();
        yield return Of(FuseOpcode.Rmdir).Name("dir").Build();
        yield return Of(FuseOpcode.Rename).Add(new FuseRenameIn { Newdir = 2 }).Name("from").Name("to").Build();
        yield return Of(FuseOpcode.Rename2).Add(new FuseRename2In { Newdir = 2 }).Name("from").Name("to").Build();
        yield return Of(FuseOpcode.Link).Add(new FuseLinkIn { Oldnodeid = 3 }).Name("hard").Build();
        yield return Of(FuseOpcode.Open).Add(default(FuseOpenIn)).Build();
        yield return Of(FuseOpcode.Opendir).Add(default(FuseOpenIn)).Build();
        yield return Of(FuseOpcode.Create).Add(new FuseCreateIn { Mode = 0x81A4 }).Name("new").Groups(1, 2).Build();
        yield return Of(FuseOpcode.Tmpfile).Add(new FuseCreateIn { Mode = 0x81A4 }).Name("/").Build();
        yield return Of(FuseOpcode.Read).Add(new FuseReadIn { Offset = 4096, Size = 4096 }).Build();
        yield return Of(FuseOpcode.Readdir).Add(new FuseReadIn { Size = 4096 }).Build();
        yield return Of(FuseOpcode.Readdirplus).Add(new FuseReadIn { Offset = ulong.MaxValue, Size = 4096 }).Build();
        yield return Of(FuseOpcode.Write).Add(new FuseWriteIn { Offset = 1, Size = 5 }).Data([1, 2, 3, 4, 5]).Build();
        yield return Of(FuseOpcode.Statfs).Build();
        yield return Of(FuseOpcode.Release).Add(default(FuseReleaseIn)).Build();
        yield return Of(FuseOpcode.Releasedir).Add(default(FuseReleaseIn)).Build();
        yield return Of(FuseOpcode.Fsync).Add(default(FuseFsyncIn)).Build();
        yield return Of(FuseOpcode.Fsyncdir).Add(default(FuseFsyncIn)).Build();
        yield return Of(FuseOpcode.Flush).Add(default(FuseFlushIn)).Build();
        yield return Of(FuseOpcode.Setxattr).Add(new FuseSetxattrIn { Size = 2 }).Name("user.x").Data([7, 8]).Build();
        yield return Of(FuseOpcode.Getxattr).Add(new FuseGetxattrIn { Size = 100 }).Name("user.x").Build();
        yield return Of(FuseOpcode.Listxattr).Add(new FuseGetxattrIn { Size = 100 }).Build();
        yield return Of(FuseOpcode.Removexattr).Name("user.x").Build();
        yield return Of(FuseOpcode.Init).Add(new FuseInitIn { Major = 7, Minor = 45 }).Build();
        yield return Of(FuseOpcode.Getlk).Add(default(FuseLkIn)).Build();
        yield return Of(FuseOpcode.Setlk).Add(default(FuseLkIn)).Build();
        yield return Of(FuseOpcode.Setlkw).Add(default(FuseLkIn)).Build();
        yield return Of(FuseOpcode.Access).Add(default(FuseAccessIn)).Build();
        yield return Of(FuseOpcode.Interrupt).Add(new FuseInterruptIn { Unique = 8 }).Build();
        yield return Of(FuseOpcode.Bmap).Add(default(FuseBmapIn)).Build();
        yield return Of(FuseOpcode.Destroy).Build();
        yield return Of(FuseOpcode.Ioctl).Add(new FuseIoctlIn { InSize = 4, OutSize = 8 }).Data([1, 2, 3, 4]).Build();
        yield return Of(FuseOpcode.Poll).Add(default(FusePollIn)).Build();
        yield return Of(FuseOpcode.Fallocate).Add(new FuseFallocateIn { Length = 4096 }).Build();
        yield return Of(FuseOpcode.Lseek).Add(new FuseLseekIn { Whence = SeekWhence.Data }).Build();
        yield return Of(FuseOpcode.CopyFileRange).Add(new FuseCopyFileRangeIn { NodeidOut = 3, Len = 5 }).Build();
        yield return Of(FuseOpcode.CopyFileRange64).Add(new FuseCopyFileRangeIn { NodeidOut = 3, Len = 5 }).Build();
        yield return Of(FuseOpcode.Syncfs).Add(default(FuseSyncfsIn)).Build();
    }

    private static RequestBytes Of(FuseOpcode opcode) => new(opcode);
}
