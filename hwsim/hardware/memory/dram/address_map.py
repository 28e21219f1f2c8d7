"""From a byte address to rank, bank group, bank, row and column, by a map such as ``rochrababgco``.

A map names the fields from the highest bits to the lowest: ``ro`` row, ``ch`` channel, ``ps``
pseudo-channel (left out where there is one), ``ra`` rank, ``ba`` bank, ``bg`` bank group, ``co``
column, in bursts. It is the notation of DRAMsim3, with ``ps`` added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.hardware.memory.dram.preset import Organisation
from hwsim.spec.errors import UsageError, did_you_mean

FIELDS = {
    "ro": "row", "ch": "channel", "ps": "pseudo-channel", "ra": "rank", "ba": "bank", "bg": "bank group",
    "co": "column",
}  # fmt: skip
#: Bank groups lowest, so that neighbouring bursts need the short column gap alone.
INTERLEAVED = "rorabachcopsbg"
#: The map that DRAMsim3's own files have: a row is used up before the next bank.
ROW_BY_ROW = "rochrababgpsco"


@dataclass(frozen=True)
class Places:
    """Where accesses go; one entry per access.

    ``bank`` counts all banks of a channel: pseudo-channel, rank, bank group, bank.
    """

    channel: NDArray[np.int64]
    bank: NDArray[np.int64]
    row: NDArray[np.int64]


@dataclass(frozen=True)
class AddressMap:
    """A map for an organisation; ``order`` is from the lowest field up, each with its size."""

    text: str
    order: tuple[tuple[str, int], ...]
    burst_bytes: int

    def places(self, addresses: ArrayLike) -> Places:
        """Return where byte addresses go; those beyond the capacity wrap."""
        left = np.asarray(addresses, dtype=np.int64) // self.burst_bytes
        found: dict[str, Any] = {}
        for name, size in self.order:
            found[name] = left % size
            left = left // size
        bank = found["ps"]
        for name in ("ra", "bg", "ba"):
            bank = bank * self.sizes[name] + found[name]
        return Places(found["ch"], bank, found["ro"])

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Values of each field."""
        return dict(self.order)

    @cached_property
    def below(self) -> dict[str, int]:
        """Bursts from one value of each field to its next."""
        passed, found = 1, {}
        for name, size in self.order:
            found[name] = passed
            passed *= size
        return found


def address_map(text: str, organisation: Organisation) -> AddressMap:
    """Read a map.

    Raises
    ------
    UsageError
        If it does not name every field once.
    """
    names = [text[i : i + 2] for i in range(0, len(text), 2)]
    if "ps" not in names and organisation.pseudo_channels == 1:
        names.append("ps")
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise UsageError(
            f"dram.address_map: unknown field {unknown[0]!r} in {text!r}; {did_you_mean(unknown[0], FIELDS)}"
        )
    if sorted(names) != sorted(FIELDS):
        lacking = [f"{name} ({FIELDS[name]})" for name in FIELDS if name not in names]
        said = f"lacks {', '.join(lacking)}" if lacking else "names a field twice"
        raise UsageError(f"dram.address_map: {text!r} {said}; each field once, such as {ROW_BY_ROW!r}")
    o = organisation
    sizes = {
        "ro": o.rows, "ch": o.channels, "ps": o.pseudo_channels, "ra": o.ranks, "ba": o.banks_per_group,
        "bg": o.bank_groups, "co": o.bursts_per_row,
    }  # fmt: skip
    return AddressMap(text, tuple((name, sizes[name]) for name in reversed(names)), o.burst_bytes)
