#!/usr/bin/env python3
"""pjdfstest.py SUITE EXPECTED FOLDER: runs every tests/*/*.t of a built pjdfstest in FOLDER, and counts assertions.

A failed assertion is named "chmod/00.t:12". EXPECTED is a Markdown file; those that its table names in backticks, each with a
reason, may fail. Everything else that fails, every script that ends early, and every expected failure that passes, makes the
exit code 1: a list that is longer than the truth hides something.
"""
import pathlib
import re
import subprocess
import sys

SCRIPT_SECONDS = 600  # The slowest script takes under a minute; more means that something hangs.
PLAN = re.compile(r"^1\.\.(\d+)")
RESULT = re.compile(r"^(not )?ok\b\s*(\d*)(.*)")
EXPECTED_ROW = re.compile(r"^\|\s*`(?P<name>[\w./-]+\.t:\d+)`\s*\|\s*(?P<reason>[^|]*?)\s*\|")
SHOWN = 200  # Failures printed in full; a file system that fails more has another problem.


def read_expected(path):
    """{name: reason} of the table in the Markdown file."""
    rows = (EXPECTED_ROW.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    expected = {row["name"]: row["reason"] for row in rows if row}
    for name, reason in expected.items():
        if not reason:
            sys.exit(f"{path}: {name} has no reason")
    return expected


def judge(name, output):
    """Returns (assertions planned, {failed name: what the script said}) for one script's output."""
    planned, seen, failures = 0, set(), {}
    for line in output.splitlines():
        plan, result = PLAN.match(line), RESULT.match(line)
        if plan:
            planned = int(plan[1])
        elif result:
            number = int(result[2]) if result[2] else len(seen) + 1
            seen.add(number)
            if result[1] and "# todo" not in result[3].lower():  # TAP's word for a failure that does not count.
                failures[f"{name}:{number}"] = result[3].strip(" -")
    for number in set(range(1, planned + 1)) - seen:
        failures[f"{name}:{number}"] = "the script ended before it"
    return max(planned, len(seen)), failures


def run(script, folder):
    try:
        done = subprocess.run(
            ["/bin/sh", script], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SCRIPT_SECONDS, check=False
        )
        return done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace") + f"\nnot ok - stopped after {SCRIPT_SECONDS} s\n"


def main():
    suite, expected_file, folder = (pathlib.Path(argument) for argument in sys.argv[1:4])
    expected = read_expected(expected_file)
    scripts = sorted((suite / "tests").glob("*/*.t"))
    if not scripts:
        sys.exit(f"{suite}/tests has no scripts")
    total, failures = 0, {}
    for script in scripts:
        name = f"{script.parent.name}/{script.name}"
        output = run(script, folder)
        count, failed = judge(name, output)
        if count == 0 and not PLAN.search(output):
            failed = {f"{name}:0": "the script ran no assertion"}
        total += count
        failures |= failed
    unexpected = {name: text for name, text in failures.items() if name not in expected}
    passing = [name for name in expected if name not in failures]
    for name, text in list(unexpected.items())[:SHOWN]:
        print(f"FAILED {name}: {text}")
    for name in passing:
        print(f"PASSES {name}: remove it from {expected_file.name}")
    print(f"{len(scripts)} scripts, {total} assertions: {len(failures)} failed, of these {len(failures) - len(unexpected)} expected")
    return 1 if unexpected or passing else 0


if __name__ == "__main__":
    sys.exit(main())
