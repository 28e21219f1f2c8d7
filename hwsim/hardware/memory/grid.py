"""The rows that SRAM figures come from: those that ship, or some of them to find what the rest is worth."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property, lru_cache

from hwsim.hardware.memory.banked import Banked, Shape
from hwsim.hardware.memory.table import COLUMNS, Table
from hwsim.spec.data import read_csv_rows

SOURCE = "CACTI 7, 1 RW port, 360 K, ED^2 optimum"
#: Mean errors of rows left out, every fifth in turn, of one bank and of several.
ERRORS = (
    "off by 8 % in read and 7 % in write energy, 3 % in leakage, 6 % in area, 6 % in access, 14 % in cycle time (mean)",
    "off by 7 % in read and 5 % in write energy, 3 % in leakage, 6 % in area, 4 % in access, 14 % in cycle time (mean)",
)
#: Node in nm, device without CACTI's prefix, bytes, bits of a word, banks.
Key = tuple[int, str, int, int, int]


def key(row: dict[str, str]) -> Key:
    """Return what a row is of; without a column of banks it is one bank."""
    size, width, banks = int(row["size_bytes"]), int(row["word_bits"]), int(row.get("banks", "1"))
    return int(row["tech_nm"]), row["device"].removeprefix("itrs-"), size, width, banks


class Grid:
    """Rows of CACTI by node and device; sizes, widths and banks are powers of two.

    Rows of several banks lie within the sizes and widths of those of one bank. ``in_order`` has the
    figures of rows that the order moves (empty where it does not); without, each table finds them.
    """

    def __init__(self, rows: Iterable[dict[str, str]], in_order: Iterable[dict[str, str]] | None = None) -> None:
        self._rows = list(rows)
        self._in_order = None if in_order is None else _by_table(in_order)
        self._groups: dict[str, dict[int, tuple[list[dict[str, str]], list[dict[str, str]]]]] = {}
        for row in self._rows:
            node, device, _, _, banks = key(row)
            self._groups.setdefault(device, {}).setdefault(node, ([], []))[banks > 1].append(row)
        #: Device types that have rows.
        self.devices = sorted(self._groups)
        self._nodes = {device: tuple(sorted(nodes)) for device, nodes in self._groups.items()}
        self._tables: dict[tuple[int, str], Banked] = {}
        self._bounds: dict[str, Table] = {}
        #: Kinds of requests that were found to have figures.
        self.accepted: set[Hashable] = set()

    @cached_property
    def keys(self) -> frozenset[Key]:
        """What there are rows of."""
        return frozenset(map(key, self._rows))

    def nodes(self, device: str) -> tuple[int, ...]:
        """Return the nodes in nm that have rows of a device, smallest first."""
        return self._nodes[device]

    def table(self, node_nm: int, device: str) -> Banked:
        """Return the rows of one node and device as a function."""
        found = self._tables.get((node_nm, device))
        if found is None:
            one, more = self._groups[device][node_nm]
            in_order = None if self._in_order is None else self._in_order.get((node_nm, device), {})
            found = self._tables[node_nm, device] = Banked(one, more, SOURCE, ERRORS, in_order)
        return found

    def bounds(self, device: str) -> Table:
        """Return rows whose smallest, largest, narrowest and widest hold for all of a device."""
        found = self._bounds.get(device)
        if found is None:
            found = self._bounds[device] = self.table(self._nodes[device][-1], device).one
        return found

    @cached_property
    def smallest(self) -> int:
        """Bytes of the smallest array of any device."""
        found: int = min(self.bounds(device).smallest for device in self.devices)
        return found

    def without(self, left_out: Callable[[Key], bool], table: tuple[float, str] | None = None) -> Grid:
        """Return the grid of the other rows, or of those of one node and device."""
        kept = (row for row in self._rows if table is None or key(row)[:2] == table)
        return Grid(row for row in kept if not left_out(key(row)))


@lru_cache(maxsize=1)
def shipped_grid() -> Grid:
    """Return the rows that ship."""
    rows = read_csv_rows("memory", "sram_grid.csv") + read_csv_rows("memory", "sram_banks.csv")
    return Grid(rows, read_csv_rows("memory", "sram_order.csv"))


def _by_table(in_order: Iterable[dict[str, str]]) -> dict[tuple[int, str], dict[Shape, list[float | None]]]:
    found: dict[tuple[int, str], dict[Shape, list[float | None]]] = {}
    for row in in_order:
        node, device, *shape = key(row)
        figures = [float(row[column]) if row[column] else None for column in COLUMNS]
        found.setdefault((node, device), {})[shape[0], shape[1], shape[2]] = figures
    return found
