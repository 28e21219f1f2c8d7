"""What energy bars show: parts of the energy by format and layer kind, the small kinds added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwsim.report.wording import clean, counted
from hwsim.spec.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

#: Units and their size in pJ.
_UNITS = {"pJ": 1.0, "nJ": 1e3, "µJ": 1e6, "mJ": 1e9}

#: At most so many panels, "other" included, and the least share of a layer kind with its own.
MOST_PANELS = 12
_LEAST_SHARE = 0.01

#: With more layer kinds than this, those of one block (``stage1.0.conv1`` …) are one kind.
_MOST_KINDS = 24

OTHER = "other"


@dataclass(frozen=True)
class Bars:
    """Energies in ``unit``: formats × parts, for the whole workload and per layer kind.

    Parameters
    ----------
    formats, pes
        Names in the order of the table; ``pes`` are empty when the table has none.
    unit
        ``pJ``, ``nJ``, ``µJ`` or ``mJ``, by the largest total.
    parts
        Layer kind to energies of shape (formats, parts); largest kind first, "other" last.
    merged
        How many layer kinds "other" holds.
    members
        How many layers a kind stands for.
    """

    formats: list[str]
    pes: list[str]
    unit: str
    parts: dict[str, Floats]
    merged: int
    members: Mapping[str, int]

    @property
    def layers(self) -> list[str]:
        """The layer kinds, largest first, "other" last."""
        return list(self.parts)

    @property
    def total(self) -> Floats:
        """Energies of the whole workload, shape (formats, parts)."""
        summed: Floats = np.sum(list(self.parts.values()), axis=0)
        return summed

    def share(self, layer: str) -> float:
        """Return the share of ``layer`` in the energy of all formats together."""
        return float(self.parts[layer].sum() / (self.total.sum() or 1.0))

    def scale(self, layer: str) -> float:
        """Return the length of the axis of ``layer``: one for all but a larger "other"."""
        longest = {name: float(values.sum(axis=1).max()) for name, values in self.parts.items()}
        named = max((v for name, v in longest.items() if name != OTHER), default=0.0)
        return max(named, longest[layer] if layer == OTHER else 0.0) or 1.0

    def own_scale(self, layer: str) -> bool:
        """Return whether the axis of ``layer`` is longer than those of the others."""
        return self.scale(layer) > self.scale(self.layers[0])

    def title(self, layer: str) -> str:
        """Return the title of a panel."""
        if layer == OTHER and self.merged:
            return f"other ({counted(self.merged, 'layer kind')})"
        count = self.members[layer]
        return f"{layer} ({count} layers)" if count > 1 else layer

    @property
    def note(self) -> str:
        """What the reader must know about the lengths of bars."""
        except_ = ", only “other” has its own" if OTHER in self.parts and self.own_scale(OTHER) else ""
        return (
            f"The panels of the layers have one scale{except_}; their values are in {self.unit}. "
            "Shares are of the energy of all formats together."
        )


def bars_of(frame: pd.DataFrame, parts: Sequence[str]) -> Bars:
    """Return the energies of a layer table by format and layer kind.

    Raises
    ------
    UsageError
        If a column is missing or the table has no rows.
    """
    for name in ("format", "layer", *parts):
        if name not in frame.columns:
            raise UsageError(f"energy bars need a column {name!r}; {did_you_mean(name, frame.columns)}")
    if frame.empty:
        raise UsageError("energy bars need at least one row")
    formats = [str(name) for name in dict.fromkeys(frame["format"])]
    first = frame.drop_duplicates("format")
    pes = [clean(pe) for pe in first["pe"]] if "pe" in frame.columns else [""] * len(formats)
    kinds = _kinds([clean(layer) for layer in frame["layer"]])
    summed = _summed([str(f) for f in frame["format"]], kinds, frame[list(parts)].to_numpy(np.float64), formats)
    unit = _unit(max(float(v) for v in np.sum(list(summed.values()), axis=(0, 2))))
    members = Counter(kind for _, kind in dict.fromkeys(zip(frame["layer"], kinds, strict=True)))
    shown, merged = _largest({kind: values / _UNITS[unit] for kind, values in summed.items()})
    return Bars([clean(f) for f in formats], pes, unit, shown, merged, members)


def _kinds(layers: Sequence[str]) -> list[str]:
    """Return the kind of each layer: itself, or its block when there are too many layers."""
    if len(set(layers)) <= _MOST_KINDS:
        return list(layers)
    blocks = [layer.partition(".")[0] for layer in layers]
    return blocks if 1 < len(set(blocks)) <= _MOST_KINDS else list(layers)


def _summed(names: Sequence[str], kinds: Sequence[str], values: Floats, formats: Sequence[str]) -> dict[str, Floats]:
    row = {name: i for i, name in enumerate(formats)}
    summed = {kind: np.zeros((len(formats), values.shape[1])) for kind in kinds}
    for name, kind, value in zip(names, kinds, values, strict=True):
        summed[kind][row[name]] += value
    return summed


def _unit(largest: float) -> str:
    fitting = [unit for unit, size in _UNITS.items() if largest >= size]
    return fitting[-1] if fitting else "pJ"


def _largest(summed: dict[str, Floats]) -> tuple[dict[str, Floats], int]:
    """Return the kinds from the largest on, small ones added up as "other", and how many those are."""
    ordered = sorted(summed, key=lambda kind: -float(summed[kind].sum()))
    total = max(float(v) for v in np.sum(list(summed.values()), axis=(0, 2)))
    small = [k for k in ordered if summed[k].sum(axis=1).max() < _LEAST_SHARE * total]
    named = [k for k in ordered if k not in small]
    if len(named) + bool(small) > MOST_PANELS:
        small = named[MOST_PANELS - 1 :] + small
        named = named[: MOST_PANELS - 1]
    if len(small) == 1 or not named:
        return {kind: summed[kind] for kind in ordered}, 0
    other = {OTHER: np.sum([summed[kind] for kind in small], axis=0)} if small else {}
    return {**{kind: summed[kind] for kind in named}, **other}, len(small)
