"""How fast one machine makes each product, as the configuration says it or a signal."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.model import IdealSignal, MachineConfig, ProductsConfig
from protocols.model import Value


class Ideals:
    """Ideal cycle times in milliseconds of one part, in the machine's own unit."""

    def __init__(self, machine: str, config: MachineConfig, products: ProductsConfig | None) -> None:
        self._own = config.ideal if isinstance(config.ideal, float) else None
        self._signal = config.ideal if isinstance(config.ideal, IdealSignal) else None
        self._listed = (
            {} if products is None else {name: one.ideal_on(machine) for name, one in products.by_name.items()}
        )
        self._has_list = products is not None
        self.signals = frozenset({self._signal.signal} if self._signal is not None else ())
        known = [one for one in (self._own, *self._listed.values()) if one is not None]
        self.fastest = min(known, default=None)
        """Of everything that is given: what serves where a product's own is not known."""

    def has(self, product: str) -> bool:
        """Whether the list has a product."""
        return product in self._listed

    def is_listed(self, product: str | None) -> bool:
        """False for a product that the list does not have."""
        return product is None or not self._has_list or product in self._listed

    def of(self, product: str | None, said: float | None) -> float | None:
        """Of a product, where a signal last `said` an ideal; None for one that is not listed, whatever else is said."""
        if not self.is_listed(product):
            return None
        listed = None if product is None else self._listed.get(product)
        if listed is not None:
            return listed
        return self._own if self._signal is None else said

    def said(self, values: Mapping[str, Value]) -> float | None:
        """What the signal says now; None where it says nothing that is a cycle."""
        return None if self._signal is None else self._signal.cycle_of(values.get(self._signal.signal))
