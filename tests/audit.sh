#!/usr/bin/env bash
# Hold every locked Python package against the advisories of osv.dev. Where that host cannot be
# reached nothing is scanned, and it says so; PERFHOUSE_OSV_URL names a mirror of it.
set -euo pipefail
cd "$(dirname "$0")/.."
url="${PERFHOUSE_OSV_URL:-https://api.osv.dev/v1/query}"
bin="$PWD/.servers/venv/bin"

if ! "$bin/python" - "$url" <<'PY'
import sys

import requests

asked = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.0"}
try:
    requests.post(sys.argv[1], json=asked, timeout=10).raise_for_status()
except requests.RequestException as error:
    sys.exit(f"not scanned: {sys.argv[1]} cannot be asked ({type(error).__name__})")
PY
then
  echo "no locked package was held against advisories; run \`make audit\` where that host is reached"
  exit 0
fi
for lock in requirements.lock tests/servers/requirements.lock; do
  echo "auditing $lock"
  "$bin/pip-audit" --progress-spinner off --vulnerability-service osv --osv-url "$url" \
    --disable-pip --require-hashes --requirement "$lock"
done
