#!/usr/bin/env bash
# run.sh SUITE [FOLDER]: runs an outside suite, which the user has checked out and built, on a fresh KvFs mount, or on FOLDER
# (to see what another file system makes of it).
#   SUITE with an executable `pjdfstest` and tests/*/*.t: every one of them, compared with expected-failures.md; as root
#   SUITE with an executable `fsx` or `fsx-linux`, at any depth: in all modes that it knows (see fsx.sh)
# Exit code 1 when anything differs from what is expected.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
  echo 'conformance: name a checked-out suite: make conformance SUITE=dir' >&2
  exit 2
fi
suite=$(realpath "$1")
# shellcheck source=build/drive.sh
source "$here/../../build/drive.sh"
mkdir -p "$root_folder/artifacts"
scratch=$(mktemp -d "$root_folder/artifacts/conformance.XXXXXX")
chmod 755 "$scratch"  # The suites act as other users, too.
cleanup() {
  stop_drive
  rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT

fsx=$(find "$suite" -maxdepth 4 -type f -executable \( -name fsx -o -name fsx-linux \) -print -quit)
if [ -x "$suite/pjdfstest" ] && [ -d "$suite/tests" ]; then
  [ "$(id -u)" = 0 ] || { echo 'conformance: pjdfstest needs root' >&2; exit 3; }
  program=(python3 "$here/pjdfstest.py" "$suite" "$here/expected-failures.md")
elif [ -n "$fsx" ]; then
  program=("$here/fsx.sh" "$fsx")
else
  echo "conformance: $suite has neither a built pjdfstest nor a built fsx" >&2
  exit 2
fi

if [ $# -ge 2 ]; then
  target=$(realpath "$2")
else
  start_drive "$scratch"
  target=$DRIVE_MOUNT
fi
folder=$(mktemp -d "$target/conformance.XXXXXX")
chmod 755 "$folder"
code=0
"${program[@]}" "$folder" || code=$?
rm -rf --one-file-system "$folder"
exit $code
