#!/usr/bin/env bash
# test.sh [FOLDER...]: runs the test projects tests/FOLDER, or all of them, the simulations beside the others, as they were last built by
# setup.sh. Goes on after a failing project. The last line is the sum over all: "N passed, N failed, N skipped".
# Logs: artifacts/test/FOLDER.log, and FOLDER.trx beside it. Exit code 1 when a test failed, a test host crashed, or a
# project that has tests ran none.
#   KVFS_TEST_MINUTES  time one project may take (default 25)
#   KVFS_PUBLISH       set: the tests that start kvfs start the one that publish.sh makes, and not what was built; "try": unless
#                      the compiler for it cannot be had
#   KVFS_HANG_MINUTES  time one single test may take before its host is stopped (default 10)
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en
export PATH="$PWD/artifacts/tools:$PATH"

# kvfs compiles a method for good a millisecond after it was called often, as a server that lives long should. Those of the tests live
# for seconds, and most of what they do is to compile: they wait for 100 ms (hexadecimal here), as the runtime does by itself.
export DOTNET_TC_CallCountingDelayMs=64
minutes=${KVFS_TEST_MINUTES:-25}
hang_minutes=${KVFS_HANG_MINUTES:-10}
logs=artifacts/test
rm -rf "$logs" && mkdir -p "$logs"

folders=("$@")
if [ ${#folders[@]} = 0 ]; then
  for project in tests/*/*.csproj; do folders+=("$(basename "$(dirname "$project")")"); done
fi

has_tests() { grep -rqE --include='*.cs' --exclude-dir=obj --exclude-dir=bin '\[(Fact|Theory)\b' "tests/$1"; }

run() {
  local folder=$1 hang=$2 code
  if ! compgen -G "tests/$folder/*.csproj" >/dev/null; then
    echo "test: there is no project in tests/$folder" | tee "$logs/$folder.log" >&2
    echo "$folder 2 tests" >>"$logs/exits"
    return
  fi
  if ! has_tests "$folder"; then
    echo "== $folder: has no tests yet"
    return
  fi
  echo "== $folder"
  timeout --kill-after=30 "${minutes}m" dotnet test "tests/$folder" -c Release --no-build -nologo \
    --logger "trx;LogFileName=$folder.trx" --logger 'console;verbosity=normal' --results-directory "$PWD/$logs" \
    --blame-hang-timeout "${hang}m" --blame-hang-dump-type mini \
    >"$logs/$folder.log" 2>&1 </dev/null
  code=$?
  echo "$folder $code" >>"$logs/exits"
  case $code in
    124 | 137) echo "   stopped after $minutes minutes (KVFS_TEST_MINUTES). The last test in $logs/$folder.log is the suspect." ;;
  esac
  if grep -q 'blame-hang\|inactivity time' "$logs/$folder.log"; then
    echo "   a test took over $hang minutes (KVFS_HANG_MINUTES). Its name and a dump: $logs/*/Sequence_*.xml, *_hangdump.dmp"
  fi
}

# Makes the program that the tests start, if it is to be the published one; a failure counts.
publish() {
  [ -n "${KVFS_PUBLISH:-}" ] || return 0
  build/publish.sh >"$logs/publish.log" 2>&1 && return 0
  if [ "$KVFS_PUBLISH" = try ] && grep -qE 'error NU(1101|1102|1301)' "$logs/publish.log"; then
    grep -m 3 'error NU' "$logs/publish.log"
    echo '   the compiler of the published kvfs cannot be had here: the tests start the one that was built'
    return 1
  fi
  cat "$logs/publish.log"
  echo "publish 1" >>"$logs/exits"
  return 1
}

# The simulations know no time but their own: they go beside everything else and behind it, and so does the making of the program. Pools
# of processes want the machine for themselves: they come when both are done, or nearly.
in_process=()
of_processes=()
for folder in "${folders[@]}"; do
  case $folder in
    simulation) (renice -n 15 -p "$BASHPID" >/dev/null; run simulation "$minutes") & ;;
    pool | integration | cli) of_processes+=("$folder") ;;
    *) in_process+=("$folder") ;;
  esac
done
if [ ${#of_processes[@]} != 0 ]; then
  (renice -n 10 -p "$BASHPID" >/dev/null; publish) &
  publishing=$!
fi
for folder in "${in_process[@]}"; do run "$folder" "$hang_minutes"; done
if [ ${#of_processes[@]} != 0 ] && wait "$publishing" && [ -n "${KVFS_PUBLISH:-}" ]; then export KVFS_PROGRAM=$PWD/artifacts/publish/kvfs; fi
for folder in "${of_processes[@]}"; do run "$folder" "$hang_minutes"; done
wait

python3 build/sum-tests.py "$logs"
