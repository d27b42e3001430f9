#!/bin/sh
# Installs linegate from this archive into PREFIX (/opt/linegate), without any network; again for an upgrade.
# Made for Python @PYTHON@ on @MACHINE@. PYTHON names another interpreter of that version.
set -eu
umask 022 # the service's user has to read it
prefix="${1:-/opt/linegate}"
python="${PYTHON:-python@PYTHON@}"
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "linegate is not installed: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 || fail "there is no $python; install Python @PYTHON@, or name it: PYTHON=/path/to/python $0"
"$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "@PYTHON@")' || fail "$python is not Python @PYTHON@, for which this archive is made"
[ "$(uname -m)" = "@MACHINE@" ] || fail "this archive is for @MACHINE@, this machine is $(uname -m)"
(cd "$here" && sha256sum --quiet --check SHA256SUMS) || fail "the archive is damaged; copy it again"
mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] || fail "$prefix cannot be written; use sudo, or name another directory: $0 DIRECTORY"

# pip comes along: Debian's python3 alone has neither pip nor ensurepip
[ -x "$prefix/bin/python" ] || "$python" -m venv --without-pip "$prefix"
pip() { "$prefix/bin/python" "$here/pip.whl/pip" --isolated --disable-pip-version-check --no-cache-dir "$@"; }
PIP_CONFIG_FILE=/dev/null pip install --quiet --no-index --no-deps --force-reinstall "$here"/wheels/*.whl
pip check >/dev/null || fail "its parts do not fit together: $(pip check)"
"$prefix/bin/linegate" --version
echo "Next: $prefix/bin/linegate check LINE.yaml, then $prefix/bin/linegate install-service LINE.yaml"
