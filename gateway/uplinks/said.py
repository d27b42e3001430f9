"""What a server says of a refusal, made fit for a log: cut, and without anything but letters and signs."""

from __future__ import annotations

import re

MOST_CHARACTERS = 200


def said(text: str) -> str:
    """On one line, 200 characters at most."""
    return re.sub(r"[^ -~\u00a1-\u024f]+", " ", text).strip()[:MOST_CHARACTERS]
