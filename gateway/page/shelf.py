"""The page's files: read and compressed once, each with the headers under which a browser may have it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import NamedTuple

from gateway import __version__

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""What is served; other files of the folder (licences, notes) are not."""
INDEX = "index.html"
CLASSIC = "theme.js"
"""The one script that is no module: it runs before anything is drawn."""
ENTRY, ENGLISH = "app.js", "texts/en.js"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # kept, and asked about each time: an update is seen at once
        "Vary": "Accept-Encoding",
    }
)
"""Of each file: nothing from elsewhere is run, shown or asked, and no other page may frame it."""


class Asset(NamedTuple):
    """One file as it goes over the wire."""

    plain: bytes
    packed: bytes
    """With gzip."""
    headers: Mapping[str, str]


def load_assets(folder: Traversable | None = None) -> dict[str, Asset]:
    """All files by their path below `folder`, by default the package's own; blocks, for some tens of milliseconds.

    The index learns the version, by which a page knows that it is of an older daemon, and the languages in texts/.
    """
    folder = files("gateway.page") / "assets" if folder is None else folder
    contents = dict(_contents(folder, ""))
    languages = sorted(
        name.removeprefix("texts/").removesuffix(".js") for name in contents if name.startswith("texts/")
    )
    index = contents[INDEX].decode()
    index = index.replace('data-version=""', f'data-version="{__version__}"')
    index = index.replace('data-languages="en"', f'data-languages="{" ".join(languages)}"')
    index = index.replace("</head>", "".join(map(_preload, sorted(contents))) + "</head>")
    contents[INDEX] = index.encode()
    return {name: _asset(name, content) for name, content in contents.items()}


def _contents(folder: Traversable, below: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = below + entry.name
        if entry.is_dir():
            yield from _contents(entry, name + "/")
        elif _type(name) is not None:
            yield name, entry.read_bytes()


def _asset(name: str, content: bytes) -> Asset:
    tag = hashlib.blake2b(content, digest_size=12).hexdigest()
    content_type = _type(name)
    assert content_type is not None
    return Asset(
        content,
        gzip.compress(content, mtime=0),
        {**HEADERS, "Content-Type": content_type, "ETag": f'W/"{tag}"'},
    )


def _preload(name: str) -> str:
    """Have a module fetched at once, not when the one that imports it has come."""
    wanted = name.endswith(".js") and name not in (CLASSIC, ENTRY) and (name == ENGLISH or "texts/" not in name)
    return f'<link rel="modulepreload" href="assets/{name}">\n' if wanted else ""


def _type(name: str) -> str | None:
    return TYPES.get(name[name.rfind(".") :])
