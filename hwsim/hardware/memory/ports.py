"""Ports of an SRAM: one that reads or writes, or one of each; anything else is refused.

CACTI's rows have one shared port. A second one adds a word line and two bit lines to every cell, which
costs area most. ``ports.csv`` has what arrays with a port to read and one to write take over ours of one
port: CACTI ran 160 such arrays, so factors hold on the mean and are marked as estimates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Literal

from hwsim.hardware.memory.figures import NAMES, Answer, Reasons, alike
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, did_you_mean

#: Ports that have figures, and how many read and write: one shared port; one to read, one to write.
Ports = Literal["1rw", "1r1w"]
PORTS: dict[str, tuple[int, int, int]] = {"1rw": (1, 0, 0), "1r1w": (0, 1, 1)}
#: Size in bytes at which the factors are stated, and those within which they were found.
AT_BYTES, SIZES = 2**16, (2**11, 2**20)


def check_ports(ports: str) -> None:
    """Refuse ports without figures.

    Raises
    ------
    MissingFigureError
        If ``ports`` is not in ``PORTS``.
    """
    if ports not in PORTS:
        raise MissingFigureError(
            f"no figures for SRAM of ports {ports!r}; {did_you_mean(ports, PORTS)}; more ports: up to 2 KiB a "
            "register file has them, above that several buffers hold copies"
        )


@lru_cache(maxsize=1)
def _laws() -> tuple[list[float], list[float], str]:
    """Return logarithms of the factors, exponents of the size, and their source with its error."""
    factor, exponent, error = read_csv_rows("memory", "ports.csv")
    errors = ", ".join(f"{float(error[name]):.0%} in {name.rsplit('_', 1)[0]}" for name in NAMES)
    factors = [math.log(float(factor[name])) for name in NAMES]
    return factors, [float(exponent[name]) for name in NAMES], f"{factor['source']}, off by {errors} (mean)"


def port_logs(ports: str, size_bytes: float) -> Sequence[float]:
    """Return the logarithms of what the ports cost over one shared port; outside ``SIZES`` as at its ends."""
    if ports == "1rw":
        return [0.0] * len(NAMES)
    factors, exponents, _ = _laws()
    doubled = math.log(min(max(size_bytes, SIZES[0]), SIZES[1]) / AT_BYTES)
    return [f + e * doubled for f, e in zip(factors, exponents, strict=True)]


def with_ports(answer: Answer, ports: str, size_bytes: float) -> Answer:
    """Return the figures of an array of ``size_bytes`` with ``ports`` from those with one shared port."""
    if ports == "1rw":
        return answer
    return answer.plus(port_logs(ports, size_bytes), partial(_tell, ports))


def _tell(ports: str) -> Reasons:
    _, reads, writes = PORTS[ports]
    return alike(f"{ports} over 1rw (estimated)", f"{reads} read and {writes} write port: {_laws()[2]}")
