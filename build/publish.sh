#!/usr/bin/env bash
# publish.sh: makes artifacts/publish/kvfs, one file of machine code, from what setup.sh restored and built. Does nothing if that is
# what is there. Exit codes: 0 it is there, else as `dotnet publish`.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
stamp=artifacts/setup/published
built=$(cat artifacts/setup/build build/publish.sh | sha256sum)
if [ -x artifacts/publish/kvfs ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$built" ]; then exit 0; fi
rm -f "$stamp"
dotnet publish cli/KvFs.Cli.csproj -c Release -r linux-x64 -p:KvFsPublish=true -v quiet -nologo \
  -nodeReuse:false -p:UseSharedCompilation=false -o artifacts/publish </dev/null
echo "$built" >"$stamp"
