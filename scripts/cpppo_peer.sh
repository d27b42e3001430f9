#!/bin/sh
# Installs cpppo, an EtherNet/IP server that the tests speak to, into an environment of its own: it is GPL, and nothing of it is imported.
cd "$(dirname "$0")/../tests/peers/cpppo" || exit 1
echo "installing cpppo into tests/peers/cpppo/.venv"
if said=$("${1:-python3}" -m venv .venv 2>&1 && .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock 2>&1); then
    touch .venv/installed
else
    echo "$said" | tail -n 5 >&2
    echo "pip could not install cpppo (is the index within reach?): the tests that need it will fail; make tries again next time" >&2
fi
exit 0
