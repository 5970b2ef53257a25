#!/usr/bin/env bash
# check.sh: what has to hold before a change lands: it builds without a warning (the analyzers are part of the build), the
# sources have the house's format, and every test passes. The last line is the sum of the tests.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
rm -f artifacts/test/summary.txt
build/setup.sh || exit $?

# White space only, and read as plain folders: seconds instead of a minute. The code-style rules are warnings of the build.
format=0
dotnet format whitespace . --folder --verify-no-changes --exclude artifacts </dev/null || format=$?
[ $format = 0 ] || echo 'check: the format differs from the house (see above): run `make fmt`.' >&2

# What users get is what is tested. It also starts in a twentieth of the time: the tests start hundreds of processes.
KVFS_PUBLISH=try build/test.sh || exit $?
exit $format
