"""Figures beside their budgets, for people or as JSON."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number; without a budget it only informs."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    #: True where more is better.
    at_least: bool = False

    @property
    def within(self) -> bool | None:
        """Return whether the budget is kept, None without one."""
        if self.budget is None:
            return None
        return self.value >= self.budget if self.at_least else self.value <= self.budget


def show(figures: list[Figure], as_json: bool) -> int:
    """Print the figures; return 1 when one misses its budget, else 0."""
    if as_json:
        print(json.dumps([asdict(figure) | {"within": figure.within} for figure in figures]))
    else:
        for figure in figures:
            print(_line(figure))
    return 1 if any(figure.within is False for figure in figures) else 0


def _line(figure: Figure) -> str:
    text = f"{figure.name:<38} {figure.value:>12,.3f} {figure.unit:<12}"
    if figure.budget is None:
        return text.rstrip()
    sign = ">=" if figure.at_least else "<="
    return f"{text} budget {sign} {figure.budget:g}  {'ok' if figure.within else 'MISSED'}"
