"""What people said that one machine works on, where no signal says it: the last word that stands goes before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST = 64
"""Claims that are remembered; one that is older cannot be taken back from the figures any more."""


class Claim(NamedTuple):
    """An entry that the machine has taken; what is None it says nothing of, and an empty text is that there is none."""

    entry: str
    job: str | None
    product: str | None


class Claims:
    """One machine's, in the order in which it took them."""

    def __init__(self) -> None:
        self._taken: list[Claim] = []

    @property
    def job(self) -> str | None:
        """The job that stands."""
        return next((one.job or None for one in reversed(self._taken) if one.job is not None), None)

    @property
    def product(self) -> str | None:
        """The product that stands."""
        return next((one.product or None for one in reversed(self._taken) if one.product is not None), None)

    @property
    def of_product(self) -> str:
        """The entry that says the product, empty where none does."""
        return next((one.entry for one in reversed(self._taken) if one.product is not None), "")

    def before(self, entry: str) -> Claim | None:
        """The claim of a product that stood before an entry."""
        names = [one.entry for one in self._taken]
        earlier = self._taken[: names.index(entry)] if entry in names else []
        return next((one for one in reversed(earlier) if one.product is not None), None)

    def __contains__(self, entry: str) -> bool:
        return any(one.entry == entry for one in self._taken)

    def take(self, claim: Claim) -> None:
        """It holds from now on."""
        self._taken = [*self._taken, claim][-MOST:]

    def drop(self, entry: str) -> None:
        """It was taken back."""
        self._taken = [one for one in self._taken if one.entry != entry]

    def checkpoint(self) -> list[list[str | None]]:
        """Plain values from which `restore` goes on."""
        return [list(one) for one in self._taken]

    def restore(self, saved: Iterable[Sequence[str | None]], *, has_jobs: bool, has_products: bool) -> None:
        """Go on from a checkpoint; what a signal says now is no person's any more."""
        taken = [Claim(e or "", None if has_jobs else j, None if has_products else p) for e, j, p in saved]
        self._taken = [one for one in taken if (one.job, one.product) != (None, None)]
