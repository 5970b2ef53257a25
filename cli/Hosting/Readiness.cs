using System.Collections.Concurrent;
using KvFs.Cli.Control;

namespace KvFs.Cli.Hosting;

/// <summary>Whether the process does what it is for.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class Readiness(NodeServer server)
{
    /// <summary>A mount that does not answer statfs(2) for so long is stuck: it normally takes microseconds.</summary>
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(2);

    /// <summary>Questions under way, by directory: a stuck mount holds one thread, not one for each time it is asked.</summary>
    private readonly ConcurrentDictionary<string, Task> questions = new(StringComparer.Ordinal);

    /// <summary>What is wrong, each a sentence; empty if it is ready.</summary>
    public async Task<IReadOnlyList<string>> CheckAsync(CancellationToken cancel)
    {
        List<string> troubles = [];
        if (!server.IsRunning) { troubles.Add("The server is starting or stopping."); }
        NodeReport node =
            await server.Requests.RunAsync(inside => server.GetNodeStatusAsync(inside).AsTask(), cancel).ConfigureAwait(false);
        if (!node.Ok) { troubles.Add(node.Trouble ?? "The node acknowledges nothing."); }
        foreach (MountReport mount in server.Mounts.List())
        {
            if (await AskAsync(mount.Directory, cancel).ConfigureAwait(false) is { } trouble) { troubles.Add(trouble); }
        }
        return troubles;
    }

    private async Task<string?> AskAsync(string directory, CancellationToken cancel)
    {
        Task question = questions.GetOrAdd(directory, Ask);
        try
        {
            await question.WaitAsync(AnswerTime, cancel).ConfigureAwait(false);
            return null;
        }
        catch (TimeoutException)
        {
            return $"The mount on {directory} does not answer.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"The mount on {directory} answers with an error: {e.Message}";
        }
        finally
        {
            if (question.IsCompleted) { questions.TryRemove(new KeyValuePair<string, Task>(directory, question)); }
        }
    }

    private static Task Ask(string directory) => Task.Factory.StartNew(
        () => _ = new DriveInfo(directory).AvailableFreeSpace,
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
