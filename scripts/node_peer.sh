#!/bin/sh
# Installs what the tests speak to in JavaScript, as its lock file says: node-opcua, the second OPC UA stack, and the
# packages of a Sparkplug host. It is for tests alone.
cd "$(dirname "$0")/../tests/peers/opcua/node" || exit 1
remedy="the tests that need node-opcua or a Sparkplug host will fail"
if ! command -v npm >/dev/null 2>&1; then
    echo "npm is missing: $remedy. On Debian or Ubuntu: apt-get install nodejs npm" >&2
    exit 0
fi
echo "installing node-opcua, mqtt and sparkplug-payload into tests/peers/opcua/node/node_modules"
if said=$(npm ci --no-audit --no-fund --ignore-scripts --loglevel=error 2>&1); then
    touch node_modules/installed
else
    echo "$said" | tail -n 5 >&2
    echo "npm could not install (is the registry within reach?): $remedy; make tries again next time" >&2
fi
exit 0
