#!/bin/sh
# Says what is missing for setting up, before anything fails half way.
python="${1:-python3}"
missing=""
if ! command -v "$python" >/dev/null 2>&1; then
    missing="$missing python3"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "linegate needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Try: make PYTHON=python3.11 ..." >&2
    exit 1
else
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    header=$("$python" -c 'import sysconfig, os; print(os.path.join(sysconfig.get_paths()["include"], "Python.h"))')
    [ -f "$header" ] || missing="$missing python3-dev"
fi
command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
if [ -n "$missing" ]; then
    echo "linegate cannot be set up: missing$missing" >&2
    echo "On Debian or Ubuntu: apt-get install$missing" >&2
    exit 1
fi
