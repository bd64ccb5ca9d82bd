#!/usr/bin/env bash
# Builds the vendored ECharts again, by the lock beside this file; only who updates it needs a
# network and Node.js. The same lock gives the same bytes: ./build.sh --check says whether it does.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
target="$here/../../perfhouse/templates/vendor/echarts"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$here"/package.json "$here"/package-lock.json "$here"/entry.js "$work"
cd "$work"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
version="$(node -p 'require("echarts/package.json").version')"
node_modules/.bin/esbuild entry.js --bundle --minify --format=iife --target=es2020 --charset=ascii \
  --legal-comments=none --define:__DEV__=false --define:process.env.NODE_ENV='"production"' \
  --banner:js="/*! Apache ECharts $version, a part of it; Apache-2.0, with zrender (BSD-3-Clause) and d3 (BSD-3-Clause) */" \
  --log-level=warning --outfile=echarts.min.js
gzip --best --no-name --keep echarts.min.js
sums="$(sha256sum echarts.min.js echarts.min.js.gz)"
if [ "${1:-}" = --check ]; then
  diff <(echo "$sums") "$target/SHA256SUMS" && echo "the same bytes"
  exit
fi
mkdir -p "$target"
cp echarts.min.js.gz "$target/"
cp node_modules/echarts/LICENSE node_modules/echarts/NOTICE node_modules/echarts/licenses/LICENSE-d3 "$target/"
cp node_modules/zrender/LICENSE "$target/LICENSE-zrender"
echo "$sums" >"$target/SHA256SUMS"
