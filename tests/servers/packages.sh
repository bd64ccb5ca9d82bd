#!/usr/bin/env bash
# Debian's packages that the tests need, in one go; starts none of the services they bring, and
# changes none that run: every test server has its own port and folder.
set -euo pipefail

wanted=(
  make git python3-venv
  chromium fonts-noto-cjk fontconfig                                # cards
  postgresql redis-server mariadb-server-core mariadb-client-core   # databases
  openssh-server openssh-client slapd                               # drops and directories
  kamailio kamailio-postgres-modules sip-tester                     # telephony
  prometheus                                                        # metrics
  request-tracker5 rt5-db-postgresql rt5-standalone libdbd-pg-perl  # tickets
)
need=()
for package in "${wanted[@]}"; do
  state="$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)"
  [ "$state" = "install ok installed" ] || need+=("$package")
done
[ "${#need[@]}" -gt 0 ] || exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
policy=/usr/sbin/policy-rc.d  # what Debian asks before it starts a service
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
  $sudo chmod 755 "$policy"
  trap '$sudo rm -f "$policy"' EXIT
fi
$sudo debconf-set-selections <<'ANSWERS'
slapd slapd/no_configuration boolean true
request-tracker5 request-tracker5/dbconfig-install boolean false
rt5-db-postgresql request-tracker5/dbconfig-install boolean false
ANSWERS
log="$(mktemp)"
echo "installing ${#need[@]} Debian packages: ${need[*]}"
$sudo apt-get update -qq
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  "${need[@]}" >"$log" 2>&1; then
  tail -40 "$log"
  exit 1
fi
rm -f "$log"
