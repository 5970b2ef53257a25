using KvFs.Cli.CommandLine;
using KvFs.Cli.Pool;

namespace KvFs.Cli.Hosting;

/// <summary>What <c>kvfs up</c> serves.</summary>
/// <param name="DataPath">Absolute.</param>
/// <param name="Drive">Made if it is missing.</param>
/// <param name="MountPath">Absolute; null: nothing is mounted.</param>
/// <param name="QuotaBytes">Of a drive that is made; null: none.</param>
/// <param name="Pool">Null: one node in this process.</param>
/// <param name="Dev">Device nodes work.</param>
/// <param name="Suid">Set-id bits work.</param>
/// <param name="NoAtime">Reading never moves access times.</param>
/// <param name="Timeout">How long programs wait for a pool that does not answer; null: for ever.</param>
internal sealed record ServerOptions(
    string DataPath,
    string Drive,
    string? MountPath,
    ulong? QuotaBytes,
    bool ReadOnly,
    bool Shared,
    MetricsEndpoint Metrics,
    PoolChoice? Pool = null,
    bool Dev = false,
    bool Suid = false,
    bool NoAtime = false,
    TimeSpan? Timeout = null);
