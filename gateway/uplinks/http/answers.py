"""What an HTTP answer means to us: acknowledged, refused, or tried again; and in which words.

Status codes: RFC 9110, 15; 429: RFC 6585. `Retry-After`: RFC 9110, 10.2.3. A 415 that is about the content coding says
which ones are taken in `Accept-Encoding` (RFC 9110, 12.5.3).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import SplitResult, parse_qsl, urlsplit

from gateway.uplinks.http.connection import Answer
from gateway.uplinks.said import MOST_CHARACTERS, said

REFUSED = frozenset({400, 413, 415, 422})
"""The content is to blame: sent again as it is, it would be refused again."""
UNAUTHORISED = frozenset({401, 403})
TOO_LARGE = 413
UNSUPPORTED = 415
LEAST_TELLING = 16
"""Characters of a part of a URL from which on it is taken for a caller's token, and not for a word."""
LONGEST_WAIT_S = 600.0
"""What a server's Retry-After is cut to: it may be wrong, and the plant waits."""

_REMEDIES = {
    401: "check what `token` or `password` names, and that it has not expired; it is tried again each minute",
    403: "have this token, user or client certificate allowed to post to that path; it is tried again each minute",
    404: "check the path of `url`",
    405: "check the path of `url`: what is there takes no POST",
    408: "look at the server's load and at the network",
    407: "a proxy stands between: this uplink speaks to the server alone",
    410: "check the path of `url`",
    429: "raise the server's limit for this gateway",
}
_REDIRECT = "set `url` to that place, if it is to be trusted with the events: redirects are not followed"


def is_success(answer: Answer) -> bool:
    """Whether the server has taken responsibility for what was sent."""
    return 200 <= answer.status < 300


def callers(url: SplitResult) -> list[str]:
    """What web hooks know their callers by: a query's values, and parts of a path that are no words."""
    values = [value for _, value in parse_qsl(url.query)]
    return [part for part in (*values, *url.path.split("/")) if len(part) >= LEAST_TELLING]


def words(answer: Answer, secrets: Iterable[str]) -> str:
    """`413 Content Too Large: at most 1 MB`; what the server says is cut, made harmless, and rid of our secrets."""
    head = f"{answer.status} {_name(answer.status)}".rstrip()
    if 300 <= answer.status < 400:
        return f"{head}: {_place(answer.headers.get('location', ''))}"
    is_page = "html" in answer.headers.get("content-type", "")
    text = "" if is_page else answer.body[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")
    text = said(text, secrets)
    return f"{head}: {text}" if text else head


def remedy(status: int) -> str:
    """What a person can do about it."""
    if 300 <= status < 400:
        return _REDIRECT
    return _REMEDIES.get(status, "see the server's log" if status >= 500 else "check `url`, and see the server's log")


def asked_to_wait_s(answer: Answer) -> float:
    """Seconds that the server asks for; 0 where it does not, or not in a way that can be read."""
    after = answer.headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]{1,9}", after):
        seconds = float(after)
    else:
        try:
            seconds = parsedate_to_datetime(after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT_S)


def _name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _place(location: str) -> str:
    """Where a redirect leads, without what may be secret in it."""
    try:
        parts = urlsplit(location)
        where = f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "elsewhere"
    path = re.sub(r"[^!-~]", "", parts.path)[:MOST_CHARACTERS]
    return f"to {where}{port}{path}" if where or path else "elsewhere"
