#!/bin/sh
# The tests of ext under AddressSanitizer and UndefinedBehaviorSanitizer, built and run in a copy of the checkout.
# Usage: sh tests/fuzz/asan.sh [arguments of pytest]; needs gcc, and the virtual environment that `make test` makes.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$root"
git ls-files -z --cached --others --exclude-standard -- ext protocols gateway tests setup.py pyproject.toml README.md LICENSE |
    xargs -0 cp -P --parents -t "$copy" # the ordinary build stays as it is
cd "$copy"
CC=gcc CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
    LDFLAGS="-fsanitize=address,undefined" "$python" setup.py --quiet build_ext --inplace >build.log 2>&1 || {
    cat build.log
    exit 1
}
# The interpreter is not instrumented: the runtime is loaded before it, its own leaks do not count, and objects come
# from malloc so that the sanitizer sees where each ends. stdc++ is preloaded so that exceptions of other libraries work.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
"$python" -c '
import ext.opcua, ext.registers, ext.table, pathlib, os
for module in (ext.opcua, ext.registers, ext.table):
    file = pathlib.Path(module.__file__)
    assert file.is_relative_to(os.getcwd()), file
    assert b"__asan_report_load" in file.read_bytes(), f"{file} is not instrumented"'
"$python" -m pytest -q -p no:cacheprovider tests/ext tests/fuzz "$@"
