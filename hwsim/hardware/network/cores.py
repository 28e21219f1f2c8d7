"""What an architecture says of several cores on one chip: how many, how GEMMs are cut for them, what connects them."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from hwsim.hardware.network.spec import NetworkSpec
from hwsim.spec.bind import Spec

#: Most cores on a chip.
MAX_CORES = 1024

#: Along what a GEMM may be cut.
Split = Literal["m", "n", "k", "batch"]


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
    network: NetworkSpec | None = Field(
        None, description="over the chip, a node per core; default: a bus past all of them, in a grid near a square"
    )

    @property
    def grid(self) -> NetworkSpec:
        """The network between the cores."""
        if self.network is not None:
            return self.network
        rows = next(r for r in range(math.isqrt(self.count), 0, -1) if self.count % r == 0)
        return NetworkSpec(topology="bus", rows=rows, cols=self.count // rows, router_energy=None, router=None)

    @model_validator(mode="after")
    def _fits(self) -> CoresSpec:
        if self.network is not None and self.network.rows * self.network.cols != self.count:
            nodes = self.network.rows * self.network.cols
            raise ValueError(
                f"network: {self.network.rows} × {self.network.cols} are {nodes} nodes for {self.count} cores; "
                "valid: a node per core"
            )
        if self.reduce == "network" and self.link_bits is None:
            raise ValueError("reduce: network needs link_bits, the bits per cycle of a link between two cores")
        return self
