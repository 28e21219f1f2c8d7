"""What an architecture file says of a run: formats, mapper, prices, and what stays on chip."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hwsim.hardware.accelerator_spec import FormatName
from hwsim.simulate.cost import Omissible
from hwsim.spec.bind import Spec
from hwsim.spec.errors import UsageError

#: Decimals of a mean number of bits: the mapper counts in units of the last one, in 64 bits.
MEAN_DECIMALS = 4


def _few_decimals(bits: float) -> float:
    rounded = round(bits, MEAN_DECIMALS)
    if rounded != bits:
        raise ValueError(f"must have at most {MEAN_DECIMALS} decimals, not {bits!r}; valid: {rounded!r}")
    return bits


class FormatsSpec(Spec):
    """Formats of a run on this architecture; anything left out follows from the PE."""

    weights: FormatName | None = None
    activations: FormatName | None = None
    kv_cache: FormatName | None = None
    outputs: FormatName | None = None
    weight_bits: Annotated[float, AfterValidator(_few_decimals)] | None = Field(
        None,
        ge=1,
        le=64,
        description="mean bits per stored weight, where layers or channels mix formats, of at most four decimals",
    )


class MapperSpec(Spec):
    """What the mapper looks for, or whose rule it follows."""

    objective: Literal["edp", "latency", "energy"] = Field(
        "edp", description="of a mapping; on an FPGA device, where no energy is known, latency if none is given"
    )
    policy: str = Field("search", description="search: the best mapping by the objective; others: rules of simulators")


def latency_mapper(mapper: MapperSpec, device: str) -> MapperSpec:
    """Return the mapper of a run on an FPGA device: by latency, of equals the mapping with the least DRAM traffic.

    Raises
    ------
    UsageError
        If the file asks for an objective that needs energies.
    """
    if "objective" in mapper.model_fields_set and mapper.objective != "latency":
        raise UsageError(
            f"mapper.objective: {mapper.objective} needs energies, which no source gives on {device}; valid: latency"
        )
    return mapper.model_copy(update={"objective": "latency"})


class CostsSpec(Spec):
    """What is priced."""

    leave_out: list[Omissible] = Field(
        [], description="parts of the energy that are not priced, for comparison with simulators that leave them out"
    )


class ResidencySpec(Spec):
    """What stays on chip from operation to operation, on one core of one chip; by default nothing does."""

    fused_attention: bool | Literal["always"] = Field(
        False,
        description="score, softmax and value of attention go from key tile to key tile together, with an online "
        "softmax: only queries, keys, values and results cross the DRAM port; true: where it is no slower and moves "
        "no more, always: wherever tiles fit",
    )
    weights: bool = Field(
        False, description="if all weights of a workload fit in the weights buffer, they are loaded once and stay"
    )

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the options that are on."""
        return tuple(name for name in ("fused_attention", "weights") if getattr(self, name))
