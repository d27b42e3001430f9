#!/bin/sh
# Installs the servers that the tests speak to, where this is root on a system with apt; else the tests name what is missing.
missing=""
[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null 2>&1 || missing="$missing mosquitto"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    # shellcheck disable=SC2086
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null ||
        echo "could not install$missing; the tests that need it will fail" >&2
else
    echo "missing$missing: the tests that need it will fail. On Debian or Ubuntu: apt-get install$missing" >&2
fi
exit 0
