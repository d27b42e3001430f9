"""Builds the Cython extensions of `ext/`; all other metadata is in pyproject.toml."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

try:
    from Cython.Build import cythonize
except ImportError:
    sys.exit(
        "linegate: Cython is missing, and the decoders cannot be built without it.\n"
        "Run `make` in the checkout, or `pip install -r requirements.lock` before `pip install --no-build-isolation .`"
    )

FLAGS = shlex.split(os.environ.get("CFLAGS", ""))  # has the last word
NAMES = [path.stem for path in sorted(Path("ext").glob("*.pyx"))]


class BuildExt(build_ext):
    """Compiles the extensions, and says what to install where that fails; there is no build without them."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            raise SystemExit(
                f"linegate: compiling the decoders failed: {error}\n"
                "A C compiler and Python's headers are needed. On Debian or Ubuntu: apt-get install gcc python3-dev"
            ) from error


setup(
    packages=find_packages(include=["gateway", "gateway.*", "protocols", "protocols.*", "ext"]),
    package_data={
        "ext": ["*.pyi", "py.typed"],
        "protocols": ["py.typed"],
        "gateway": ["py.typed", "data/config/*", "data/systemd/*"],
        "gateway.outbox": ["*.sql"],
        "gateway.page": ["assets/**/*"],
    },
    include_package_data=False,
    ext_modules=cythonize(
        [
            Extension(
                f"ext.{name}",
                [f"ext/{name}.pyx"],
                extra_compile_args=["-O3", "-fno-strict-aliasing", "-ffp-contract=off", *FLAGS],
            )
            for name in NAMES
        ],
        compiler_directives={"language_level": "3", "embedsignature": True},
        language_level="3",
    ),
    cmdclass={"build_ext": BuildExt},
    zip_safe=False,
)
