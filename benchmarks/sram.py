"""Time of one SRAM evaluation after loading, alone and among many, and what loading costs.

Run ``python benchmarks/sram.py``. The goal is 20 µs per evaluation on one core.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from timing import microseconds

from hwsim.hardware.memory import sram_figures
from hwsim.hardware.memory.grid import shipped_grid
from hwsim.hardware.memory.sram import Request, sram_of

#: Bytes, bits of a word, banks, node in nm, device; then temperature in K, ports and check bits.
BUFFERS: dict[str, tuple[Any, ...]] = {
    "a row": (2**13, 64, 1, 28, "hp"),
    "a row of 4 banks": (2**17, 64, 4, 22, "hp"),
    "between rows": (3 * 2**14, 100, 1, 28, "hp"),
    "between rows of 3 banks": (3 * 2**14, 100, 3, 22, "hp"),
    "banks by factors": (2**15, 64, 4, 28, "hp"),
    "below the nodes": (2**15, 64, 4, 7, "hp"),
    "between nodes": (2**15, 64, 4, 40, "hp"),
    "between nodes that are misprinted": (3 * 2**14, 100, 3, 25, "lstp"),
    "beyond size, width and banks": (2**26, 2048, 16, 40, "hp"),
    "warm, two ports, check bits": (3 * 2**14, 100, 3, 22, "hp", 320.0, "1r1w", "secded"),
}
MANY = 100_000


def main() -> None:
    start = time.perf_counter()
    grid = shipped_grid()
    for device in grid.devices:
        for node in grid.nodes(device):
            _ = grid.table(node, device).cells
    print(f"loading all nodes and devices: {(time.perf_counter() - start) * 1e3:.0f} ms")
    print(f"{'buffer':34} {'one (us)':>9} {'of many (us)':>13} {'ratio':>6}")
    spread = np.linspace(1, 1.5, MANY)
    for name, (size, *rest) in BUFFERS.items():
        # sram_of is build_sram without its memory of earlier answers
        request = Request(size, *rest)
        one = microseconds(lambda r=request: sram_of(grid, r))
        sizes = np.rint(size * spread)
        many = microseconds(lambda s=sizes, r=rest: sram_figures(s, *r), 1) / MANY
        print(f"{name:34} {one:9.1f} {many:13.2f} {one / many:6.1f}")


if __name__ == "__main__":
    main()
