using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using KvFs.Bench.Rows;

namespace KvFs.Bench;

/// <summary>The program's command line.</summary>
internal sealed class BenchCommandLine
{
    /// <summary>What can be measured, with what it is.</summary>
    public static ImmutableArray<(string Name, string What, Func<BenchRun, Task> Run)> Rows { get; } =
    [
        ("read", "Reads of 4 KiB of open files, of which the client holds no bytes: one request each.", ReadRows.ReadAsync),
        ("open-read", "Lookup, open, read of 4 KiB, close; the client knows nothing before.", ReadRows.OpenReadAsync),
        ("durable-write", "Writes of 4 KiB into open files, an fsync each.", DurableRows.WriteAsync),
        ("durable-create", "New files of 4 KiB: make, write, fsync, close.", DurableRows.CreateAsync),
        ("batch", "Operations on names and attributes in transactions of --batch.", NameRows.BatchAsync),
        ("names", "The same one by one, with the session of a mount, which gathers them; a sync for each 4,096.", NameRows.NamesAsync),
        ("growth", "Create, lookup and read, one at a time, while a drive grows to --grow-to files.", GrowthRows.SpreadAsync),
        ("one-directory", "The same with all files in one directory.", GrowthRows.OneDirectoryAsync),
        ("amplification", "Bytes to disks and network for each byte written; needs --pids.", AmplificationRow.RunAsync),
    ];

    private readonly Option<string[]> servers = new("--server")
    {
        Description = "Nodes of the pool; others are learned from them.", HelpName = "HOST:PORT[,…]", Required = true,
        CustomParser = static result => [.. result.Tokens.SelectMany(static token => token.Value.Split(',', StringSplitOptions.RemoveEmptyEntries))],
    };

    private readonly Option<string?> certificates = new("--pki")
    {
        Description = "A folder with tls.crt, tls.key and ca.crt: DATA/pki/client of `kvfs up --nodes`.", HelpName = "DIR",
    };

    private readonly Option<string?> pool = new("--pool")
    {
        Description = "The pool that the certificates are of: `local` of `kvfs up --nodes`.", HelpName = "NAME",
    };

    private readonly Option<bool> insecure = new("--insecure") { Description = "Without certificates: plain text, on loopback." };

    private readonly Option<string?> processes = new("--pids")
    {
        Description = "The processes of the nodes: disk, network and processor time are counted for them.", HelpName = "PID[,…]",
    };

    private readonly Option<string[]> rows = new("--row")
    {
        Description = "What to measure; several are measured one after the other.", Required = true, AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int> seconds = Number("--seconds", "Time of a row.", 10);

    private readonly Option<int> warmSeconds = Number("--warm-seconds", "Time before it that does not count.", 3);

    private readonly Option<int> drives = Number("--drives", "Drives, each with one session, spread over the nodes.", 6);

    private readonly Option<int> concurrency = Number("--concurrency", "Requests on their way at any time, over all drives.", 48);

    private readonly Option<int> batch = Number("--batch", "Operations of a transaction, up to 1024.", 512);

    private readonly Option<int> files = Number("--files", "Files on each drive that are read.", 2000);

    private readonly Option<int> growTo = Number("--grow-to", "Files of the rows growth and one-directory.", 100_000);

    private readonly Option<int> growBytes = Number("--grow-bytes", "Bytes of each of those; at least 8, at most 4096.", 128);

    public RootCommand Build(Func<BenchOptions, CancellationToken, Task> run)
    {
        rows.AcceptOnlyFromAmong([.. Rows.Select(static row => row.Name)]);
        RootCommand root = new(
            "Measures a running pool through the client library, without a mount. It starts no node; it makes drives named bench-…, and "
            + "deletes them when it ends. A line of JSON for each row on the standard output: p50Us, p99Us and p999Us are of requests, "
            + "perSecond of operations; clientProcessorUs, nodesProcessorUs, diskBytes and networkBytes are for one operation.\n\nRows:\n"
            + string.Join('\n', Rows.Select(static row => $"  {row.Name,-15} {row.What}"))
            + "\n\nbench/library.sh starts pools of several sizes, and runs it on them.")
        {
            servers, certificates, pool, insecure, processes, rows, seconds, warmSeconds, drives, concurrency, batch, files, growTo, growBytes,
        };
        root.SetAction((parsed, cancel) => run(Read(parsed), cancel));
        return root;
    }

    private static Option<int> Number(string name, string description, int usual)
    {
        Option<int> option = new(name) { Description = description, HelpName = "NUMBER", DefaultValueFactory = _ => usual };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1) { result.AddError($"{name} is at least 1."); }
        });
        return option;
    }

    private BenchOptions Read(ParseResult parsed)
    {
        string? folder = parsed.GetValue(certificates);
        string? name = parsed.GetValue(pool);
        bool isPlain = parsed.GetValue(insecure);
        if (isPlain ? folder is not null || name is not null : folder is null || name is null)
        {
            throw new BenchException(BenchException.Usage, "A pool is talked to with --pki DIR and --pool NAME, or with --insecure alone.");
        }

        return new()
        {
            Servers = [.. parsed.GetValue(servers)!],
            Certificates = folder,
            Pool = name,
            Processes = ProcessesOf(parsed.GetValue(processes)),
            Rows = [.. parsed.GetValue(rows)!],
            Time = TimeSpan.FromSeconds(parsed.GetValue(seconds)),
            Warm = TimeSpan.FromSeconds(parsed.GetValue(warmSeconds)),
            Drives = parsed.GetValue(drives),
            Concurrency = parsed.GetValue(concurrency),
            Batch = AtMost(parsed, batch, 1024),
            Files = parsed.GetValue(files),
            GrowTo = parsed.GetValue(growTo),
            GrowBytes = AtLeast(parsed, growBytes, sizeof(long), BenchFiles.SmallBytes),
        };
    }

    private static int AtMost(ParseResult parsed, Option<int> option, int most) => AtLeast(parsed, option, 1, most);

    private static int AtLeast(ParseResult parsed, Option<int> option, int least, int most) =>
        parsed.GetValue(option) is var value && value >= least && value <= most
            ? value
            : throw new BenchException(BenchException.Usage, $"{option.Name} is from {least} to {most}.");

    private static ImmutableArray<int> ProcessesOf(string? text)
    {
        List<int> found = [];
        foreach (string one in text?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            if (!int.TryParse(one, NumberStyles.None, CultureInfo.InvariantCulture, out int process))
            {
                throw new BenchException(BenchException.Usage, $"'{one}' is no process id.");
            }

            found.Add(process);
        }

        return [.. found];
    }
}
