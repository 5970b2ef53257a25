using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Programs;

/// <summary>gcc, ar and make on a mounted drive: a program of several files is built, run, and built again.</summary>
public sealed class CompilerTests
{
    private const int Parts = 8;

    [Fact]
    public async Task A_C_project_is_built_and_run_and_only_what_changed_is_built_again()
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync();
        string project = Directory.CreateDirectory(Path.Combine(drive.Path, "project")).FullName;
        for (int part = 0; part < Parts; part++) { WritePart(project, part, part); }
        string declarations = string.Concat(Enumerable.Range(0, Parts).Select(static part => $"int part{part}(void);\n"));
        string sum = string.Join(" + ", Enumerable.Range(0, Parts).Select(static part => $"part{part}()"));
        File.WriteAllText(Path.Combine(project, "parts.h"), declarations);
        File.WriteAllText(
            Path.Combine(project, "main.c"),
            "#include <stdio.h>\n#include \"parts.h\"\nint main(void) { printf(\"%d\\n\", " + sum + "); return 0; }\n");
        File.WriteAllText(
            Path.Combine(project, "Makefile"),
            "parts := $(patsubst %.c,%.o,$(wildcard part*.c))\n"
            + "program: main.o libparts.a\n\tgcc -o $@ main.o -L. -lparts\n"
            + "libparts.a: $(parts)\n\tar rcs $@ $^\n"
            + "%.o: %.c parts.h\n\tgcc -O1 -Wall -Werror -c -o $@ $<\n");

        RealProgram.Run(project, "make", "-j2");
        Assert.Equal("28\n", RealProgram.Run(project, Path.Combine(project, "program")));
        Assert.Contains("up to date", RealProgram.Run(project, "make"), StringComparison.Ordinal);

        WritePart(project, 3, 103);
        string built = RealProgram.Run(project, "make");
        Assert.Contains("part3.o", built, StringComparison.Ordinal);
        Assert.DoesNotContain("-o part4.o", built, StringComparison.Ordinal);
        Assert.Equal("128\n", RealProgram.Run(project, Path.Combine(project, "program")));
    }

    private static void WritePart(string project, int part, int value) => File.WriteAllText(
        Path.Combine(project, $"part{part}.c"), $"#include \"parts.h\"\nint part{part}(void) {{ return {value}; }}\n");
}
