using System.Diagnostics;
using System.Text.Json;

namespace KvFs.Pool.Tests;

/// <summary>What the program said, and how it ended.</summary>
internal sealed record Said(int Code, string Output, string Errors)
{
    public JsonElement Json
    {
        get
        {
            Assert.True(Code == 0, ToString());
            return JsonDocument.Parse(Output).RootElement;
        }
    }

    /// <summary>Runs it, without a terminal.</summary>
    public static async Task<Said> OfAsync(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(PoolProcesses.Program, arguments)
        {
            RedirectStandardInput = true, RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new(process.ExitCode, await output, errors);
    }

    public override string ToString() => $"code {Code}\n{Output}\n{Errors}";
}
