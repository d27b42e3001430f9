"""What a server says of a refusal, made fit for a log: cut, without our secrets, and nothing but letters and signs."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_CHARACTERS = 200
LEAST_SECRET = 4
"""Characters: a shorter one is part of ordinary words, and taking it out would spoil them and tell it."""


def said(text: str, secrets: Iterable[str] = ()) -> str:
    """On one line, 200 characters at most; a server may repeat the `secrets` that it was told."""
    for secret in secrets:
        if len(secret) >= LEAST_SECRET:
            text = text.replace(secret, "...")
    return re.sub(r"[^ -~\u00a1-\u024f]+", " ", text).strip()[:MOST_CHARACTERS]
