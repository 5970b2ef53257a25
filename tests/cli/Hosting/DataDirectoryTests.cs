using KvFs.Cli.CommandLine;
using KvFs.Cli.Hosting;
using KvFs.Cli.Native;

namespace KvFs.Cli.Tests.Hosting;

public sealed class DataDirectoryTests
{
    [Theory]
    [InlineData(0, 0, true)]
    [InlineData(1000, 1000, true)]
    [InlineData(0, 1000, true)]
    [InlineData(1000, 0, false)]
    [InlineData(1000, 1001, false)]
    public void Only_a_folder_of_this_user_or_of_root_is_trusted(uint owner, uint user, bool isTrusted) =>
        Assert.Equal(isTrusted, DataDirectory.IsTrusted(owner, user));

    [Fact]
    public void A_folder_that_is_made_is_this_user_s_and_nobody_else_sees_into_it()
    {
        using TemporaryFolder folder = new();
        string data = Path.Combine(folder.Path, "data");
        DataDirectory.Prepare(data);
        DataDirectory.Prepare(data);
        Assert.Equal(Posix.geteuid(), DataDirectory.OwnerOf(data));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(data));
        Assert.Equal(0u, DataDirectory.OwnerOf("/"));
    }

    [Fact]
    public void A_file_is_no_folder()
    {
        using TemporaryFolder folder = new();
        string data = Path.Combine(folder.Path, "data");
        File.WriteAllText(data, "");
        Assert.Equal(ExitCode.Usage, Assert.Throws<CommandException>(() => DataDirectory.Prepare(data)).Code);
    }
}
