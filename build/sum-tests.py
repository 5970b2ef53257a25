#!/usr/bin/env python3
"""Adds up the .trx files of one run of test.sh; the last line is "N passed, N failed, N skipped".

Reads FOLDER/exits (one line per project that ran: its name, the exit code of `dotnet test`) and FOLDER/<name>.trx. A project
without a readable .trx, with no test in it, or with a bad exit code that no failed test explains, counts as one failure: a
crash must never look like success.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml

NAMESPACE = "{http://microsoft.com/schemas/VisualStudio/TeamTest/2010}"
SHOWN_MESSAGE_LINES = 12  # Enough for an assertion and its seed; the whole story is in the log.


def read_results(trx):
    """Yields (test name, outcome, error message) for every result in a .trx file."""
    for result in xml.parse(trx).getroot().iter(NAMESPACE + "UnitTestResult"):
        message = result.find(f"{NAMESPACE}Output/{NAMESPACE}ErrorInfo/{NAMESPACE}Message")
        yield result.get("testName"), result.get("outcome"), "" if message is None else message.text or ""


def judge(logs, name, exit_code):
    """Returns (passed, failures, skipped) of one project; a failure is (what failed, message)."""
    trx = logs / f"{name}.trx"
    try:
        results = list(read_results(trx)) if trx.exists() else []
    except xml.ParseError as error:
        return 0, [(f"{name}: its results cannot be read", str(error))], 0
    passed = sum(outcome == "Passed" for _, outcome, _ in results)
    skipped = sum(outcome == "NotExecuted" for _, outcome, _ in results)
    failures = [(test, message) for test, outcome, message in results if outcome not in ("Passed", "NotExecuted")]
    if exit_code != 0 and not failures:
        failures.append((f"{name}: the test host crashed or was stopped (exit code {exit_code})", tail(logs, name)))
    elif not results:
        failures.append((f"{name}: has tests, and ran none", tail(logs, name)))
    return passed, failures, skipped


def tail(logs, name):
    log = logs / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_MESSAGE_LINES:]) if log.exists() else ""


def main():
    logs = pathlib.Path(sys.argv[1])
    exits = logs / "exits"
    runs = [line.split()[:2] for line in exits.read_text().splitlines()] if exits.exists() else []
    passed, skipped, failures = 0, 0, []
    print()
    for name, exit_code in runs:
        here_passed, here_failures, here_skipped = judge(logs, name, int(exit_code))
        print(f"{name:<14} {here_passed:>6} passed {len(here_failures):>4} failed {here_skipped:>4} skipped")
        passed += here_passed
        skipped += here_skipped
        failures += [(name, *failure) for failure in here_failures]
    if not runs:
        failures.append(("test", "no test project ran", ""))
    for name, test, message in failures:
        print(f"\nFAILED {test}   ({logs}/{name}.log)")
        for line in message.splitlines()[:SHOWN_MESSAGE_LINES]:
            print(f"    {line}")
    total = f"{passed} passed, {len(failures)} failed, {skipped} skipped"
    (logs / "summary.txt").write_text(total + "\n")
    print()
    print(total)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
