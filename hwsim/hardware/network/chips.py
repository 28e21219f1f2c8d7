"""What an architecture says of several chips: how many, how they share a model, what connects them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hwsim.spec.bind import Spec
from hwsim.spec.units import BandwidthBytesPerS, EnergyPjPerBit, TimeNs

#: Most chips.
MAX_CHIPS = 4096

#: Widest partial sum between chips.
MOST_SUM_BITS = 32


class ChipsSpec(Spec):
    """Equal chips in a ring of links, each with a DRAM of its own."""

    count: int = Field(ge=1, le=MAX_CHIPS)
    parallel: Literal["tensor", "pipeline"] = Field(
        description="tensor: every layer is cut for all chips; pipeline: each chip has some of the layers"
    )
    link_bandwidth: BandwidthBytesPerS = Field(description="of a link between neighbours, in one direction")
    link_energy: EnergyPjPerBit = Field(description="per bit and link")
    link_latency: TimeNs | None = Field(
        None, description="of a message from neighbour to neighbour, beside its bits; default: none"
    )
    reduce_bits: int | None = Field(
        None,
        ge=8,
        le=MOST_SUM_BITS,
        description="bits of a partial sum on a link; default: as accumulators hold it",
    )
    micro_batches: int = Field(
        1, ge=1, le=1 << 20, description="pipeline: the workload is one of so many batches that follow each other"
    )

    @model_validator(mode="after")
    def _fits(self) -> ChipsSpec:
        if self.parallel == "tensor" and self.micro_batches > 1:
            raise ValueError("micro_batches: only chips in a pipeline take several; valid: parallel: pipeline")
        if self.parallel == "pipeline" and self.reduce_bits is not None:
            raise ValueError(
                "reduce_bits: has no effect in a pipeline, whose chips have no partial sums of each other; leave it "
                "out, or valid: parallel: tensor"
            )
        return self
