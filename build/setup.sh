#!/usr/bin/env bash
# setup.sh: installs the Debian packages that are missing, restores the .NET packages exactly as locked, builds Release.
# Every step is skipped when its result is already there; run it as often as you like.
# Exit codes: 0 ready, 1 restore or build failed, 3 something is missing that this script may not install.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

stamps=artifacts/setup
log=artifacts/setup/last.log

# Package, and why. The first two are all that a drive needs; the others serve the tests and the benchmark.
packages=(
  librocksdb7.8   # the node's metadata store
  fuse3           # fusermount3: mounting without root, and unmounting
  git             # tests: a repository on the mount
  gcc libc6-dev   # tests: a C project built on the mount; /usr/include is the tree that is copied and compared
  make            # tests: the same project
  sqlite3         # tests: WAL mode with kill -9
  rsync           # tests: both ways
  attr acl        # tests: extended attributes and POSIX ACLs as their own tools see them
  python3         # tests and benchmark: small drivers, sums, tables
  openssl         # tests: another opinion on the certificates that lib/pki makes
  python3-grpcio  # tests: a gRPC peer that is not ours, for lib/grpc
  fio             # benchmark: the I/O patterns
)

say() { printf 'setup: %s\n' "$*"; }

fail() {
  local code=$1 line
  shift
  for line in "$@"; do printf 'setup: %s\n' "$line" >&2; done
  exit "$code"
}

need_dotnet() {
  command -v dotnet >/dev/null || fail 3 'the .NET SDK 10 is missing: install it so that `dotnet` is on the PATH.'
  dotnet --version >/dev/null 2>&1 || fail 3 'no .NET SDK fits global.json (10.0.100 or a later 10.0.x):' "$(dotnet --list-sdks)"
}

missing_packages() {
  local name state
  for name in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$state" = installed ] || printf '%s ' "$name"
  done
}

# Without dpkg we cannot install, but we can still say whether the two things that a drive needs are there.
check_foreign_system() {
  local absent=''
  ldconfig -p 2>/dev/null | grep -q 'librocksdb\.so\.7\.8' || absent+=' librocksdb.so.7.8 (RocksDB 7.8)'
  command -v fusermount3 >/dev/null || absent+=' fusermount3 (fuse3)'
  [ -z "$absent" ] || fail 3 "this is not Debian; please install:$absent"
  say 'this is not Debian: the packages for the tests are yours to install (see build/setup.sh)'
}

# Words to put before a command that needs root; fails where nothing would work.
root_prefix() {
  if [ "$(id -u)" = 0 ]; then return 0; fi
  command -v sudo >/dev/null || return 1
  if sudo -n true 2>/dev/null || [ -t 0 ]; then echo sudo; else return 1; fi
}

install_packages() {
  local missing prefix
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  prefix=$(root_prefix) || fail 3 "these Debian packages are missing: $missing" \
    'and this user may not install them (neither root nor sudo). Ask an administrator for:' \
    "  apt-get update && apt-get install -y $missing"
  say "installing: $missing"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  if ! { $prefix "${apt[@]}" update && $prefix "${apt[@]}" install -y --no-install-recommends $missing; } \
      >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    fail 3 "apt-get could not install: $missing(the whole output is in $log)"
  fi
}

# Programs that come only with a server: the tests want the one program, not a daemon on the user's machine, so the package is
# unpacked under artifacts/ and never installed.
fetch_program() {
  local program=$1 package=$2 purpose=$3
  if command -v "$program" >/dev/null || [ -x "artifacts/tools/$program" ]; then return 0; fi
  say "fetching $program (for $purpose)"
  local folder=artifacts/tools/unpack prefix
  rm -rf "$folder" && mkdir -p "$folder"
  # An image whose package lists were removed has nothing to download from until they are fetched again.
  if ! apt-cache show "$package" >/dev/null 2>&1; then
    prefix=$(root_prefix) && $prefix apt-get -q update >"$log" 2>&1 </dev/null || true
  fi
  if (cd "$folder" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$package") >"$log" 2>&1 </dev/null \
      && dpkg-deb -x "$folder/${package}"_*.deb "$folder" && mv "$folder/usr/bin/$program" "artifacts/tools/$program"; then
    rm -rf "$folder"
  else
    rm -rf "$folder"
    fail 3 "could not download Debian's package $package, of which the tests need $program (see $log)"
  fi
}

# The names and bytes of everything that decides what a build yields.
fingerprint() {
  {
    printf '%s\n' "${CI:-}" "$(dotnet --version)"
    find . \( -name .git -o -name bin -o -name obj -o -name artifacts -o -name TestResults \) -prune -o -type f \
      \( -name '*.cs' -o -name '*.csproj' -o -name '*.props' -o -name '*.targets' -o -name '*.sln' -o -name '*.proto' \
      -o -name packages.lock.json -o -name global.json -o -name .editorconfig -o -name 'BannedSymbols.txt' \) -print0 \
      | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -d' ' -f1
}

outputs_are_there() {
  local project
  for project in cli/*.csproj tests/*/*.csproj; do
    [ -d "$(dirname "$project")/bin/Release" ] || return 1
  done
  [ -x artifacts/kvfs ]
}

restore() {
  if dotnet restore KvFs.sln --locked-mode -v quiet -nologo >"$log" 2>&1 </dev/null; then return 0; fi
  cat "$log" >&2
  grep -q NU1004 "$log" || fail 1 'the .NET packages could not be restored (see above).'
  [ "${CI:-}" != true ] || fail 1 'a packages.lock.json does not fit its project: run `make setup` and commit the lock files.'
  say 'a packages.lock.json does not fit its project: restoring without the lock. Commit the changed lock files.'
  dotnet restore KvFs.sln --force-evaluate -v quiet -nologo </dev/null || fail 1 'the .NET packages could not be restored.'
}

build() {
  local now
  now=$(fingerprint)
  if outputs_are_there && [ "$(cat "$stamps/build" 2>/dev/null || true)" = "$now" ]; then return 0; fi
  rm -f "$stamps/build"
  say 'restoring'
  restore
  say 'building'
  # No build server stays behind to hold memory, or the descriptors of whoever called us. A compiler that lives for seconds is not worth
  # the instrumentation that a long life would gain by.
  DOTNET_TieredPGO=0 dotnet build KvFs.sln -c Release --no-restore -v quiet -nologo -nodeReuse:false \
    -p:UseSharedCompilation=false </dev/null \
    || fail 1 'the build failed (see above).'
  ln -sfn ../cli/bin/Release/net10.0/kvfs artifacts/kvfs
  fingerprint >"$stamps/build"
}

mkdir -p "$stamps"
need_dotnet
if command -v dpkg-query >/dev/null; then
  install_packages
  fetch_program promtool prometheus 'the tests of the metrics page'
  fetch_program etcd etcd-server 'the tests of the authorities'
else
  check_foreign_system
fi
[ -c /dev/fuse ] || say 'note: there is no /dev/fuse here, so nothing can be mounted (in a container: --device /dev/fuse)'
build
