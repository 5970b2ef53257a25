using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Programs;

/// <summary>git on a mounted drive: many small files, renames, links, memory maps.</summary>
public sealed class GitTests
{
    private const int Commits = 5;
    private const int FilesPerCommit = 20;

    [Fact]
    public async Task A_repository_is_made_cloned_packed_and_found_sound()
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync();
        string origin = Path.Combine(drive.Path, "origin.git");
        string work = Path.Combine(drive.Path, "work");
        RealProgram.Run(drive.Path, "git", "init", "-q", "--bare", "-b", "main", origin);
        RealProgram.Run(drive.Path, "git", "clone", "-q", origin, work);
        RealProgram.Run(work, "git", "checkout", "-q", "-b", "main");
        for (int commit = 0; commit < Commits; commit++)
        {
            for (int file = 0; file < FilesPerCommit; file++)
            {
                string folder = Directory.CreateDirectory(Path.Combine(work, $"folder{file % 4}")).FullName;
                File.AppendAllText(Path.Combine(folder, $"file{file}.txt"), $"line of commit {commit}, file {file}\n");
            }

            RealProgram.Run(work, "git", "add", "-A");
            RealProgram.Run(
                work, "git", "-c", "user.name=Proof", "-c", "user.email=proof@example.org", "commit", "-q", "-m",
                $"commit {commit}");
        }

        RealProgram.Run(work, "git", "push", "-q", "origin", "main");
        RealProgram.Run(work, "git", "gc", "-q", "--aggressive", "--prune=now");
        RealProgram.Run(origin, "git", "gc", "-q", "--prune=now");
        await drive.RestartAsync();

        string copy = Path.Combine(drive.Path, "copy");
        RealProgram.Run(drive.Path, "git", "clone", "-q", origin, copy);
        foreach (string repository in new[] { origin, work, copy })
        {
            RealProgram.Run(repository, "git", "fsck", "--full", "--strict");
        }

        Assert.Equal(string.Empty, RealProgram.Run(work, "git", "status", "--porcelain"));
        Assert.Equal($"{Commits}\n", RealProgram.Run(copy, "git", "rev-list", "--count", "HEAD"));
        RealProgram.Run(drive.Path, "diff", "-r", "--exclude=.git", work, copy);
    }
}
