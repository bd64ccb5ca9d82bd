#!/usr/bin/env bash
# Builds both images as they stand in the tree, as root: images.sh STORE
# The official base cannot be fetched behind a closed network: then a stand-in is made of Debian
# and its own Python. PYTHON_IMAGE names a base that can be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

store="$1"
stand_in=localhost/python-stand-in:3.11-slim-bookworm
base="${PYTHON_IMAGE:-$stand_in}"
in_store=(--root "$store/images" --runroot "$store/run" --storage-driver overlay)

make_stand_in() {
  local root="$store/stand-in" made
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates,python3.11,python3.11-venv,python3-distutils bookworm "$root"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/etc/resolv.conf
  ln -s python3.11 "$root/usr/bin/python"
  # What the official image has in these places and a final stage must not have.
  mkdir -p "$root/usr/local/lib/python3.11/site-packages/pip" "$root/usr/local/lib/python3.11/ensurepip"
  install -m 755 /dev/null "$root/usr/local/bin/pip3"
  made="$(buildah "${in_store[@]}" from scratch)"
  buildah "${in_store[@]}" add --quiet "$made" "$root" / >/dev/null
  buildah "${in_store[@]}" config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin "$made"
  buildah "${in_store[@]}" commit --quiet --rm "$made" "$stand_in"
  rm -rf "$root"
}

build() {
  # The certificates that this machine trusts: a closed network's index may have one of its own.
  buildah "${in_store[@]}" bud --layers --isolation chroot --network host --format docker \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    --build-arg PYTHON_IMAGE="$base" --tag "localhost/$1" --file "$2" .
}

mkdir -p "$store"
[ "$base" != "$stand_in" ] || buildah "${in_store[@]}" inspect "$stand_in" >/dev/null 2>&1 || make_stand_in
build perfhouse:test Dockerfile
build perfhouse-bi:test bi/Dockerfile
