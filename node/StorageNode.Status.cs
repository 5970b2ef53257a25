using System.Diagnostics.Metrics;
using KvFs.Core;
using KvFs.Node.Checking;
using KvFs.Node.Storage;

namespace KvFs.Node;

/// <summary>How a node is.</summary>
/// <param name="Name">The node's name.</param>
/// <param name="DiskId">The disk that it runs on.</param>
/// <param name="IsOk">It acknowledges writes.</param>
/// <param name="Trouble">Why not, or what a person should look at; null if there is nothing.</param>
/// <param name="Starts">How often it was started on this data folder.</param>
public sealed record NodeStatus(string Name, string DiskId, bool IsOk, string? Trouble, ulong Starts);

public sealed partial class StorageNode
{
    private readonly Meter meter = new("KvFs.Node");
    private readonly long writtenAtStart = DiskWrites.GetBytes() ?? 0;

    public NodeStatus GetStatus()
    {
        string? failure = blocks.Failure;
        string? trouble = failure is null ? null : $"The disk failed; nothing is acknowledged any more: {failure}";
        bool isBroken = host.Shards.Any(static shard => shard.IsBroken);
        if (trouble is null && isBroken)
        {
            trouble = "A transaction could not be applied; nothing is acknowledged any more. Start again.";
        }

        bool isWaiting = host.Shards.Any(static shard => shard.IsWaiting);
        if (trouble is null && isWaiting) { trouble = "The disk is full: some drives acknowledge nothing until there is room."; }
        RepairStatistics repairs = blocks.Mender.GetStatistics();
        if (trouble is null && repairs.UnrepairableBlocks > 0)
        {
            trouble = $"{repairs.UnrepairableBlocks} blocks are bad, and there is no other copy of them that is whole: reads of them fail.";
        }

        if (trouble is null && work.CorruptRecords > 0)
        {
            trouble = $"{work.CorruptRecords} damaged records were met. Look with 'kvfs fsck'.";
        }

        if (trouble is null && !blocks.Findings.IsEmpty) { trouble = string.Join(' ', blocks.Findings); }
        return new(Options.NodeName, blocks.DiskId.ToString(), !blocks.IsFailed && !isBroken && !isWaiting, trouble, Identity.Starts);
    }

    /// <summary>Checks every drive; see <see cref="NodeCheckReport"/>. Takes as long as reading the index, or all bytes.
    /// </summary>
    /// <exception cref="InvalidOperationException">A repair is asked for while somebody has a session.</exception>
    /// <exception cref="OperationCanceledException">The caller has had enough.</exception>
    public NodeCheckReport Check(
        NodeCheckOptions options, Action<NodeCheckProgress>? onProgress, CancellationToken cancellationToken)
    {
        if (options.Repair && host.All.Any(static drive => drive.Sessions.Count > 0))
        {
            throw new InvalidOperationException("A drive is in use: unmount it, then repair.");
        }

        return new NodeChecker(host, store, blocks, options).Run(onProgress, cancellationToken);
    }

    private IEnumerable<Measurement<double>> GetWriteAmplification()
    {
        long committed = host.All.Sum(static drive => drive.CommittedBytes);
        if (committed == 0 || DiskWrites.GetBytes() is not { } written) { yield break; }
        yield return new((double)(written - writtenAtStart) / committed);
    }

    private void AddInstruments()
    {
        meter.CreateObservableCounter(
            "kvfs_node_blocks_written_bytes", () => blocks.GetStatistics().BytesWritten, "bytes", "Bytes of blocks written.");
        meter.CreateObservableCounter(
            "kvfs_node_blocks_read_bytes", () => blocks.GetStatistics().BytesRead, "bytes", "Bytes of blocks read.");
        meter.CreateObservableCounter(
            "kvfs_node_blocks_written", () => blocks.GetStatistics().BlocksWritten, null, "Blocks written.");
        meter.CreateObservableCounter(
            "kvfs_node_corrupt_reads", () => blocks.GetStatistics().CorruptReads, null, "Reads whose checksum did not match.");
        meter.CreateObservableCounter(
            "kvfs_node_scrubbed_bytes", () => scrubber.ScrubbedBytes, "bytes",
            "Bytes of blocks that were read in the background and compared with their checksums.");
        meter.CreateObservableGauge(
            "kvfs_node_scrub_last_pass_timestamp_seconds", () => scrubber.LastEnded.Nanoseconds / 1e9, null,
            "When all blocks had been read last, in seconds since 1970; 0: never yet.");
        meter.CreateObservableCounter(
            "kvfs_node_bad_blocks", () => blocks.Mender.GetStatistics().BadBlocks, null,
            "Blocks that were found damaged, or lacking though they are referred to.");
        meter.CreateObservableCounter(
            "kvfs_node_repaired_blocks", () => blocks.Mender.GetStatistics().RepairedBlocks, null,
            "Bad blocks in whose place a good copy was put.");
        meter.CreateObservableGauge(
            "kvfs_node_unrepairable_blocks", () => blocks.Mender.GetStatistics().UnrepairableBlocks, null,
            "Blocks that are bad now, and that no other node has whole.");
        meter.CreateObservableGauge(
            "kvfs_node_quarantined_blocks", () => blocks.Mender.GetStatistics().QuarantinedBlocks, null,
            "Bad blocks that are kept although a good copy has taken their place.");
        meter.CreateObservableGauge(
            "kvfs_node_quarantined_bytes", () => blocks.Mender.GetStatistics().QuarantinedBytes, "bytes",
            "Bytes that kept bad blocks take.");
        meter.CreateObservableCounter(
            "kvfs_node_corrupt_records", () => work.CorruptRecords, null, "Damaged records that were met.");
        meter.CreateObservableCounter(
            "kvfs_node_log_syncs", () => store.GetStatistics().Syncs, null, "Syncs of the journal.");
        meter.CreateObservableCounter(
            "kvfs_node_log_written_bytes", () => store.GetStatistics().LogBytes, "bytes",
            "Bytes appended to the journal.");
        meter.CreateObservableCounter(
            "kvfs_node_committed_bytes", () => host.All.Sum(static drive => drive.CommittedBytes), "bytes",
            "Bytes of data that clients committed.");
        meter.CreateObservableCounter(
            "kvfs_node_disk_written_bytes", () => (DiskWrites.GetBytes() ?? writtenAtStart) - writtenAtStart, "bytes",
            "Bytes that the process had the kernel write to disks: blocks, log, flushes, compactions.");
        meter.CreateObservableGauge(
            "kvfs_node_write_amplification", GetWriteAmplification, null,
            "Bytes written to disks for each byte that clients committed, since the start; no value before the first.");
        meter.CreateObservableCounter("kvfs_node_folds", () => packer.Folds + restPacker.Folds, null, "Clusters folded.");
        meter.CreateObservableCounter(
            "kvfs_node_packed_bytes", () => packer.PackedBytes + restPacker.PackedBytes, "bytes", "Bytes copied into packed blocks.");
        meter.CreateObservableCounter(
            "kvfs_node_repack_rounds", () => repacker.Rounds, null, "Rounds that looked for half-dead blocks.");
        meter.CreateObservableCounter(
            "kvfs_node_repacked_blocks", () => repacker.EmptiedBlocks, null, "Half-dead blocks that were emptied.");
        meter.CreateObservableCounter(
            "kvfs_node_repack_reclaimed_bytes", () => repacker.ReclaimedBytes, "bytes", "Garbage of blocks that were emptied.");
        meter.CreateObservableCounter(
            "kvfs_node_flattened_drives", () => flattener.Flattened, null, "Clones that got records of their own for all.");
        meter.CreateObservableGauge(
            "kvfs_node_failed", () => blocks.IsFailed ? 1 : 0, null, "1 once the disk has failed a write or a sync.");
        meter.CreateObservableGauge(
            "kvfs_drive_used_bytes",
            () => host.All.Select(static drive => new Measurement<long>(
                (long)drive.Counters.UsedBytes, new KeyValuePair<string, object?>("drive", drive.State.Policy.Name))),
            "bytes",
            "Backed bytes of a drive's files.");
        meter.CreateObservableGauge(
            "kvfs_drive_used_inodes",
            () => host.All.Select(static drive => new Measurement<long>(
                (long)drive.Counters.UsedInodes, new KeyValuePair<string, object?>("drive", drive.State.Policy.Name))),
            null,
            "VNodes of a drive.");
    }
}
