namespace KvFs.Integration.Tests.CommandLine;

/// <summary>The machine does not let the program have what it needs: it says what to do, changes nothing, and all is there once it
/// may.</summary>
public sealed class UnusableFolderTests : IAsyncLifetime
{
    private const string NoFuse =
        "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9";

    private static readonly string[] s_up = ["up", "--no-mount", "--metrics", "off"];

    private Installation Here { get; } = new();

    public async Task InitializeAsync()
    {
        await Here.UpAsync();
        await File.WriteAllTextAsync(Here.At("file"), "content");
        await Here.DownAsync();
    }

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [OwnMountsFact]
    public async Task A_data_folder_on_a_read_only_file_system_is_refused_with_the_way_to_make_it_writable()
    {
        string readOnly = $"mount --bind '{Here.Data}' '{Here.Data}' && mount -o remount,bind,ro '{Here.Data}'";
        foreach (string[] command in (string[][])[s_up, [.. s_up, "--detach"], ["fsck", "--offline"]])
        {
            Outcome outcome = await Kvfs.RunAfterMountsAsync(readOnly, [.. command, "--data", Here.Data]);
            Expect(outcome, 1, Here.Data, "mounted read-only", "remount,rw", "--data");
        }

        await ExpectAllIsThereAsync();
    }

    [OwnMountsFact]
    public async Task A_data_folder_that_another_user_may_not_enter_ends_with_code_10_and_names_who_may()
    {
        const UnixFileMode Everybody = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        File.SetUnixFileMode(Here.Folder, Everybody);
        string program = Directory.CreateDirectory(Path.Combine(Here.Folder, "program")).FullName;
        foreach (string[] command in (string[][])[s_up, [.. s_up, "--detach"], ["fsck", "--offline"], ["status"], ["drive", "list"]])
        {
            Outcome outcome = await Kvfs.RunAsNobodyAsync(program, [.. command, "--data", Here.Data]);
            Expect(outcome, 10, Here.Data, "This user may not", "as the folder's owner", "--data");
        }

        await Here.UpAsync();
        File.SetUnixFileMode(Here.Data, Everybody);
        Outcome control = await Kvfs.RunAsNobodyAsync(program, "status", "--data", Here.Data);
        Expect(control, 10, "may not control the kvfs that runs on", "Only the user who started it");
        await Here.DownAsync();
        await ExpectAllIsThereAsync();
    }

    [OwnMountsFact]
    public Task Without_the_device_of_FUSE_the_message_says_how_to_get_one() =>
        ExpectNoMountAsync(NoFuse, "There is no /dev/fuse", "modprobe fuse", "--device /dev/fuse");

    [OwnMountsFact]
    public Task Something_else_in_the_place_of_the_device_of_FUSE_is_told_from_it() =>
        ExpectNoMountAsync("mount --bind /dev/null /dev/fuse", "ls -l /dev/fuse", "10, 229", "--device /dev/fuse");

    private static void Expect(Outcome outcome, int code, params string[] words)
    {
        Assert.True(outcome.Code == code, outcome.ToString());
        Assert.All(words, word => Assert.Contains(word, outcome.Errors, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", outcome.Errors, StringComparison.Ordinal);
    }

    private async Task ExpectNoMountAsync(string mounts, params string[] words)
    {
        foreach (string[] inBackground in (string[][])[[], ["--detach"]])
        {
            Outcome outcome = await Kvfs.RunAfterMountsAsync(
                mounts, ["up", "--data", Here.Data, "--mount", Here.Mount, "--metrics", "off", .. inBackground]);
            Expect(outcome, 1, words);
            Assert.Equal(7, (await Here.RunAsync("status")).Code);
        }

        await ExpectAllIsThereAsync();
    }

    private async Task ExpectAllIsThereAsync()
    {
        await Here.UpAsync();
        Assert.Equal("content", await File.ReadAllTextAsync(Here.At("file")));
        await Here.DownAsync();
        Outcome check = await Here.RunAsync("fsck", "--offline", "--read-bytes");
        Assert.True(check.Code == 0, check.ToString());
    }
}
