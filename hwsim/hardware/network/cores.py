"""What an architecture says of several cores on one chip: how many, how GEMMs are cut for them, what connects them."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from hwsim.hardware.network.base import MAX_EDGE
from hwsim.hardware.network.spec import NetworkSpec
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import UsageError

#: Most cores on a chip.
MAX_CORES = 1024

#: Along what a GEMM may be cut.
Split = Literal["m", "n", "k", "batch"]


class CoreNetworkSpec(NetworkSpec):
    """The network between the cores and the DRAM port: a node per core."""

    rows: int | None = Field(  # type: ignore[assignment]
        None, ge=1, le=MAX_EDGE, description="cores along one edge of the chip; default: as near a square as can be"
    )
    cols: int | None = Field(None, ge=1, le=MAX_EDGE, description="cores along the other")  # type: ignore[assignment]

    def over(self, count: int) -> NetworkSpec:
        """Return the network of ``count`` cores.

        Raises
        ------
        UsageError
            If rows and columns are not those of so many cores.
        """
        rows = self.rows or max(1, count // (self.cols or _near_square(count)))
        cols = self.cols or max(1, count // rows)
        nodes = rows * cols
        if nodes != count:
            raise UsageError(f"network: {rows} × {cols} are {nodes} nodes for {count} cores; valid: a node per core")
        return NetworkSpec.model_construct(**{**self.model_dump(), "rows": rows, "cols": cols})  # all was checked


def _near_square(count: int) -> int:
    """Return the longer edge of the grid of ``count`` nodes that is the nearest to a square."""
    return count // next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)


class CoresSpec(Spec):
    """Equal cores on one chip, each with array, buffers and vector unit of its own; they share the DRAM port."""

    count: int = Field(ge=1, le=MAX_CORES)
    split: Literal["auto", "m", "n", "k", "batch"] = Field(
        "auto", description="what a GEMM is cut along; batch: whole instances; auto: the best by the mapper's objective"
    )
    multicast: bool = Field(
        False, description="cores go from tile to tile together, and what all of them need is read from DRAM once"
    )
    reduce: Literal["dram", "network"] = Field(
        "dram", description="the way of partial sums of a GEMM that is cut along k; network: ring, needs link_bits"
    )
    link_bits: int | None = Field(None, ge=1, le=1 << 20, description="bits per cycle of a link between two cores")
    network: CoreNetworkSpec = Field(
        CoreNetworkSpec(topology="bus"), description="over the chip, a node per core; default: a bus past all of them"
    )

    @model_validator(mode="after")
    def _fits(self) -> CoresSpec:
        as_value_error(self.network.over)(self.count)
        if self.reduce == "network" and self.link_bits is None:
            raise ValueError("reduce: network needs link_bits, the bits per cycle of a link between two cores")
        if self.reduce != "network" and self.link_bits is not None:
            raise ValueError(
                "link_bits: has no effect without reduce: network, as sums then go through DRAM and the network's own "
                "bandwidth is taken to be enough; leave it out"
            )
        if self.reduce == "network" and self.split not in ("k", "auto"):
            raise ValueError(
                f"reduce: has no effect with split: {self.split}, which leaves no partial sums of several cores; "
                "leave it out, or valid: split: k, auto"
            )
        if self.multicast and self.split in ("k", "batch"):
            raise ValueError(
                f"multicast: has no effect with split: {self.split}, where cores have no operand in common; leave it "
                "out, or valid: split: m, n, auto"
            )
        return self
