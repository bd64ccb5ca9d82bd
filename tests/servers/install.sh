#!/usr/bin/env bash
# What the server tests need beside Debian's packages, from the locks in this folder, into .servers/.
set -euo pipefail
cd "$(dirname "$0")/../.."

make --no-print-directory setup >/dev/null
uv=.venv/bin/uv
venv=.servers/venv
lock=tests/servers/requirements.lock
if ! cmp -s "$lock" "$venv/installed.lock"; then
  mkdir -p .servers
  "$uv" venv --quiet --clear --python .venv/bin/python "$venv"
  "$uv" pip sync --quiet --python "$venv/bin/python" --require-hashes "$lock"
  cp "$lock" "$venv/installed.lock"
fi
