#!/bin/sh
# Installs node-opcua, the second OPC UA stack that the tests speak to, as its lock file says. It is for tests alone.
cd "$(dirname "$0")/../tests/peers/opcua/node" || exit 1
remedy="the tests that need node-opcua will fail"
if ! command -v npm >/dev/null 2>&1; then
    echo "npm is missing: $remedy. On Debian or Ubuntu: apt-get install nodejs npm" >&2
    exit 0
fi
echo "installing node-opcua into tests/peers/opcua/node/node_modules"
if said=$(npm ci --no-audit --no-fund --ignore-scripts --loglevel=error 2>&1); then
    touch node_modules/installed
else
    echo "$said" | tail -n 5 >&2
    echo "npm could not install (is the registry within reach?): $remedy; make tries again next time" >&2
fi
exit 0
