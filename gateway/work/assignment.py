"""What one machine works on: its job and its product as the signals say them, and what those should take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.config.model import JobsConfig, MachineConfig, ProductsConfig
from gateway.kpi.task import Task
from gateway.states.account import Demand
from gateway.work.claims import Claim, Claims
from gateway.work.ideals import Ideals
from gateway.work.queue import Coming, Queue
from protocols.model import Value

NOTHING = ("", "0")
"""What a signal says that says no job or no product."""


def text_of(value: Value) -> str | None:
    """A job or a product as a signal says it, a number as its decimal text; None where it is bad."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value}".strip(" \t\r\n\0")


class Assignment:
    """One machine's. What is lost changes no job and no product: the last known ones stay."""

    def __init__(
        self, machine: str, config: MachineConfig, products: ProductsConfig | None, jobs: JobsConfig | None
    ) -> None:
        self._ideals = Ideals(machine, config, products)
        self._product_signal = None if products is None else products.signal
        self._job_signal = None if jobs is None else jobs.signal
        named = frozenset(one for one in (self._product_signal, self._job_signal) if one is not None)
        self.signals = self._ideals.signals | named
        of_signal = {} if products is None else {name: one.changeover for name, one in products.by_name.items()}
        self.standards = None if self._product_signal is None else of_signal
        """How long changing over to each product may take, milliseconds; None where no signal says the product."""
        self._coming: dict[str, Claim] = {}
        """Those that wait in the queue, by entry."""
        self.demand: Demand = "unknown"
        """Whether there is a job, as far as that is known now."""
        self._said: float | None = None
        """The ideal that a signal last gave for this product."""
        self.claims = Claims()
        """What people said that it works on."""
        self.task = self._task(None, None)
        self.queue = Queue()
        """What the signals say, and the flow has yet to bring."""

    def ideal_of(self, product: str | None) -> float | None:
        """Ideal milliseconds of one part of a product, None where nothing says it."""
        return self._ideals.of(product, self._said)

    @property
    def pace_ms(self) -> float | None:
        """The ideal in force, or where nothing says it the fastest that the machine has."""
        return self._ideals.fastest if self.task.ideal_ms is None else self.task.ideal_ms

    @property
    def fastest_ms(self) -> float | None:
        """The fastest ideal that it can have had while nobody looked."""
        known = [one for one in (self._ideals.fastest, self.task.ideal_ms) if one is not None]
        return min(known, default=None)

    def follow(self, changed: Collection[str], values: Mapping[str, Value]) -> bool:
        """Signals changed; whether what it works on did. What another job or product is comes along the flow."""
        before, waiting = self.task, self.queue.waiting
        known = waiting[-1] if waiting else before
        job, product, demand = known.job, known.product, self.demand
        if self._job_signal is not None and self._job_signal in changed:
            text = text_of(values.get(self._job_signal))
            self.demand = "unknown" if text is None else "none" if text in NOTHING else "job"
            job = job if text is None else None if text in NOTHING else text
        if self._product_signal is not None and self._product_signal in changed:
            text = text_of(values.get(self._product_signal))
            is_one = text is not None and (text not in NOTHING or self._ideals.has(text))
            product = text if is_one else product
        if (job, product) != (known.job, known.product):
            is_first = job == known.job or (known.job is None and demand != "none")
            is_first &= product == known.product or known.product is None
            if waiting or (self.queue.is_fed and not is_first):
                waiting.append(Coming(job, product, ends=self._job_signal is not None and job is None))
        return self._work_on(*((before.job, before.product) if waiting else (job, product)), values)

    def say(self, claim: Claim, values: Mapping[str, Value], *, of_line: bool) -> bool:
        """A person says it; whether what it works on is another. What is said of the line comes along the flow."""
        waiting, known = self.queue.waiting, self.task
        if of_line and (waiting or (self.queue.is_fed and (known.job or known.product))):
            known_next = waiting[-1] if waiting else known
            job = known_next.job if claim.job is None else claim.job or None
            product = known_next.product if claim.product is None else claim.product or None
            waiting.append(Coming(job, product, ends=claim.job == "", entry=claim.entry))
            self._coming[claim.entry] = claim
            return False
        self.claims.take(claim)
        return self._claimed(values)

    def unsay(self, entry: str, values: Mapping[str, Value]) -> bool:
        """It is taken back, from now on; whether what it works on is another."""
        self.queue.drop(entry)
        self._coming.pop(entry, None)
        self.claims.drop(entry)
        return self._claimed(values)

    def before(self, entry: str) -> Task | None:
        """What it worked on before a person said the product; None where nobody had said one."""
        earlier = self.claims.before(entry)
        return None if earlier is None else self._task(self.task.job, earlier.product or None, earlier.entry)

    def _claimed(self, values: Mapping[str, Value]) -> bool:
        job = self.task.job if self._job_signal is not None else self.claims.job
        product = self.task.product if self._product_signal is not None else self.claims.product
        return self._work_on(job, product, values)

    def take(self, values: Mapping[str, Value]) -> bool:
        """The next is there; whether what it works on is another."""
        coming = self.queue.take()
        if (claim := self._coming.pop(coming.entry, None)) is not None:
            self.claims.take(claim)
        return self._work_on(coming.job, coming.product, values)

    def _work_on(self, job: str | None, product: str | None, values: Mapping[str, Value]) -> bool:
        before, said = self.task, self._ideals.said(values)
        if said is not None or product != before.product:
            self._said = said
        self.task = self._task(job, product, self.claims.of_product)
        return self.task != before

    def _task(self, job: str | None, product: str | None, claim: str = "") -> Task:
        ideal, listed = self._ideals.of(product, self._said), self._ideals.is_listed(product)
        return Task(job, product, ideal, listed, claim, self._ideals.of(None, self._said) if claim else None)

    def interrupt(self) -> None:
        """Nobody looked: what it works on stays, and whether there is a job is not known."""
        self.demand = "unknown"

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        task = {"job": self.task.job, "product": self.task.product, "said": self._said, "demand": self.demand}
        coming = [list(claim) for claim in self._coming.values()]
        return {**task, "queue": self.queue.checkpoint(), "claims": [self.claims.checkpoint(), coming]}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; a section that is gone says nothing any more."""
        self._said = saved["said"] if self._ideals.signals else None
        self.demand = saved["demand"] if self._job_signal is not None else "unknown"
        taken, coming = saved.get("claims", ([], []))
        gone = {"has_jobs": self._job_signal is not None, "has_products": self._product_signal is not None}
        self.claims.restore(taken, **gone)
        self._coming = {claim[0]: Claim(*claim) for claim in coming}
        job = saved["job"] if self._job_signal is not None else self.claims.job
        product = saved["product"] if self._product_signal is not None else self.claims.product
        self.task = self._task(job, product, self.claims.of_product)
        if (queue := saved.get("queue")) is not None:
            keeps = {"has_jobs": gone["has_jobs"] or bool(coming), "has_products": gone["has_products"] or bool(coming)}
            self.queue.restore(queue, **keeps)
