using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Tests.Control;

public sealed class LineTests
{
    private static readonly System.Text.Json.Serialization.Metadata.JsonTypeInfo<AnswerLine<StopReport>> Type =
        ControlJson.Default.AnswerLineStopReport;

    [Fact]
    public async Task The_last_line_arrives_behind_the_progress()
    {
        using MemoryStream stream = new();
        await using (LineWriter<StopReport> writer = new(stream, Type))
        {
            for (int step = 0; step < 1000; step++) { writer.Report(new ProgressReport("work", step, 1000)); }
            await writer.FinishAsync(new AnswerLine<StopReport>(Result: new StopReport("all of it", [])));
        }
        stream.Position = 0;
        Reports seen = new();
        StopReport? done = await LineReader.ReadAsync(stream, Type, seen, CancellationToken.None);
        Assert.Equal("all of it", done?.Done);
        Assert.Equal(999, seen.All[^1].Done);
        Assert.Equal(seen.All.OrderBy(report => report.Done), seen.All);
    }

    [Fact]
    public async Task An_error_keeps_its_code_message_and_hint()
    {
        using MemoryStream stream = new();
        await using (LineWriter<StopReport> writer = new(stream, Type))
        {
            await writer.FinishAsync(new AnswerLine<StopReport>(
                Error: new ControlError(ExitCode.InUse, "It is in use.", "End it.")));
        }
        stream.Position = 0;
        CommandException thrown = await Assert.ThrowsAsync<CommandException>(
            () => LineReader.ReadAsync(stream, Type, new Reports(), CancellationToken.None));
        Assert.Equal((ExitCode.InUse, "It is in use.", "End it."), (thrown.Code, thrown.Message, thrown.Hint));
    }

    [Fact]
    public async Task Lines_that_end_without_a_result_are_no_result()
    {
        using MemoryStream stream = new("{\"progress\":{\"activity\":\"a\",\"done\":1,\"total\":null}}\n"u8.ToArray());
        Assert.Null(await LineReader.ReadAsync(stream, Type, new Reports(), CancellationToken.None));
    }

    [Fact]
    public void Garbage_is_refused_and_never_breaks_the_reader() => Prop.ForAll<string>(text =>
        {
            using MemoryStream stream = new(Encoding.UTF8.GetBytes((text ?? string.Empty) + "\n"));
            Task<StopReport?> reading = LineReader.ReadAsync(stream, Type, new Reports(), CancellationToken.None);
            return reading.IsCompletedSuccessfully || reading.Exception?.InnerException is CommandException;
        }).QuickCheckThrowOnFailure();

    private sealed class Reports : IProgress<ProgressReport>
    {
        public List<ProgressReport> All { get; } = [];

        public void Report(ProgressReport value) => All.Add(value);
    }
}
