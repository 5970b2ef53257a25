using KvFs.Core;

namespace KvFs.Client;

/// <summary>Cuts what is written into the runs of a commit.</summary>
internal static class CommitRuns
{
    /// <summary>Adds bytes of a block: cut at clusters, and joined to the last run where both go on where it ends.</summary>
    public static void AddBlock(this FileCommit commit, ulong offset, int length, BlockName block, uint sourceOffset)
    {
        for (int done = 0; done < length;)
        {
            ulong at = offset + (ulong)done;
            int part = UpToCluster(at, length - done);
            AddRun(commit, new(at, (uint)part, SliceKind.Block, block, sourceOffset + (uint)done));
            done += part;
        }
    }

    /// <summary>Adds bytes that go into the transaction itself: cut at the bound of a record.</summary>
    public static void AddInline(this FileCommit commit, ulong offset, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int toPage = Limits.InlineSliceBytes - (int)(offset % Limits.InlineSliceBytes);
            int length = Math.Min(bytes.Length, toPage);
            uint source = (uint)commit.Inline.Length;
            commit.Inline.Append(bytes[..length]);
            commit.Runs.Add(new(offset, (uint)length, SliceKind.Inline, default, source));
            offset += (ulong)length;
            bytes = bytes[length..];
        }
    }

    private static int UpToCluster(ulong offset, int length) =>
        (int)Math.Min((ulong)length, Limits.ClusterBytes - (offset % Limits.ClusterBytes));

    private static void AddRun(FileCommit commit, FileRun run)
    {
        if (commit.Runs.Count > 0)
        {
            FileRun last = commit.Runs[^1];
            if (last.FileOffset + last.Length == run.FileOffset && last.SourceOffset + last.Length == run.SourceOffset
                && last.Block == run.Block && run.FileOffset % Limits.ClusterBytes != 0)
            {
                commit.Runs[^1] = last with { Length = last.Length + run.Length };
                return;
            }
        }

        commit.Runs.Add(run);
    }
}
