"""The rows that SRAM figures come from: those that ship, or some of them to find what the rest is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache

from hwsim.hardware.memory.banked import Banked
from hwsim.hardware.memory.table import Table
from hwsim.spec.data import read_csv_rows

SOURCE = "CACTI 7, 1 RW port, 360 K, ED^2 optimum"
#: Mean errors of rows left out, of one bank (each in turn) and of several (every fifth in turn).
ERRORS = (
    "off by 8 % in read energy, 6 % in write energy, 3 % in leakage, 5 % in area, 4 % in access time (mean)",
    "off by 8 % in read energy, 6 % in write energy, 3 % in leakage, 6 % in area, 4 % in access time (mean)",
)
#: Node in nm, device without CACTI's prefix, bytes, bits of a word, banks.
Key = tuple[int, str, int, int, int]


def key(row: dict[str, str]) -> Key:
    """Return what a row is of; without a column of banks it is one bank."""
    size, width, banks = int(row["size_bytes"]), int(row["word_bits"]), int(row.get("banks", "1"))
    return int(row["tech_nm"]), row["device"].removeprefix("itrs-"), size, width, banks


class Grid:
    """Rows of CACTI by node and device; sizes, widths and banks are powers of two.

    Rows of several banks lie within the sizes and widths of those of one bank.
    """

    def __init__(self, rows: Iterable[dict[str, str]]) -> None:
        self._rows = list(rows)
        self._groups: dict[str, dict[int, tuple[list[dict[str, str]], list[dict[str, str]]]]] = {}
        for row in self._rows:
            node, device, _, _, banks = key(row)
            self._groups.setdefault(device, {}).setdefault(node, ([], []))[banks > 1].append(row)
        #: Device types that have rows.
        self.devices = sorted(self._groups)
        self._nodes = {device: sorted(nodes) for device, nodes in self._groups.items()}
        self._tables: dict[tuple[int, str], Banked] = {}

    @cached_property
    def keys(self) -> frozenset[Key]:
        """What there are rows of."""
        return frozenset(map(key, self._rows))

    def nodes(self, device: str) -> list[int]:
        """Return the nodes in nm that have rows of a device, smallest first."""
        return self._nodes[device]

    def table(self, node_nm: int, device: str) -> Banked:
        """Return the rows of one node and device as a function."""
        if (node_nm, device) not in self._tables:
            one, more = self._groups[device][node_nm]
            self._tables[node_nm, device] = Banked(one, more, SOURCE, ERRORS)
        return self._tables[node_nm, device]

    def bounds(self, device: str) -> Table:
        """Return rows whose smallest, largest, narrowest and widest hold for all of a device."""
        return self.table(self._nodes[device][-1], device).one

    def without(self, left_out: Callable[[Key], bool]) -> Grid:
        """Return the grid of the other rows."""
        return Grid(row for row in self._rows if not left_out(key(row)))


@lru_cache(maxsize=1)
def shipped_grid() -> Grid:
    """Return the rows that ship."""
    return Grid(read_csv_rows("memory", "sram_grid.csv") + read_csv_rows("memory", "sram_banks.csv"))
