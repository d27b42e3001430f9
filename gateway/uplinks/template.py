"""Topics and subjects with fields in braces: which fields may stand there, and what they become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import AfterValidator

from gateway.config.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from gateway.config.model import LineConfig

PLACE = ("enterprise", "site", "area", "line")


def template(*fields: str, what: str, forbidden: str, words: str) -> AfterValidator:
    """A text in which the place and these fields may stand in braces; the rest must not match `forbidden`."""
    known = (*PLACE, *fields)

    def check(text: str) -> str:
        for field in re.findall(r"\{([^{}]*)\}", text):
            if field not in known:
                hint = did_you_mean(nearest(field, known))
                raise ValueError(f"{{{field}}} is not one of {', '.join(known)}{hint}")
        if re.search(forbidden, re.sub(r"\{[a-z]+\}", "x", text)):
            raise ValueError(f"{what} must not {words}, and each {{ needs its }}")
        return text

    return AfterValidator(check)


def place(line: LineConfig, allowed: str) -> Mapping[str, str]:
    """The fields of the place, with `_` for each character that the pattern `allowed` does not match."""
    names = zip(PLACE, (line.enterprise, line.site, line.area, line.name), strict=True)
    return {field: re.sub(rf"(?!{allowed}).", "_", name, flags=re.DOTALL) for field, name in names}
