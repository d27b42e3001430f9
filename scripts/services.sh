#!/bin/sh
# Installs the servers and tools that the tests speak to, where this is root on a system with apt; else names what is missing.
missing=""
[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null 2>&1 || missing="$missing mosquitto"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
command -v systemd-nspawn >/dev/null 2>&1 || missing="$missing systemd-container"
command -v socat >/dev/null 2>&1 || missing="$missing socat"
command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v "${CC:-cc}" >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if command -v pkg-config >/dev/null 2>&1; then
    pkg-config --exists libmodbus 2>/dev/null || missing="$missing libmodbus-dev"
else
    [ -f /usr/include/modbus/modbus.h ] || missing="$missing libmodbus-dev"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    install $missing 2>/dev/null || for one in $missing; do # one that a system does not have keeps no other away
        install "$one" || echo "could not install $one; the tests that need it will fail" >&2
    done
else
    echo "missing$missing: the tests that need it will fail. On Debian or Ubuntu: apt-get install$missing" >&2
fi
exit 0
