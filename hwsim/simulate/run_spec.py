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
    exhaustive: bool = Field(
        False,
        description="with memories.levels: every order and tile, however many; else, of very many, a choice",
    )


def _once_each(parts: list[Omissible]) -> list[Omissible]:
    twice = [part for part in dict.fromkeys(parts) if parts.count(part) > 1]
    if twice:
        raise ValueError(f"names {', '.join(twice)} more than once; valid: each part once")
    return parts


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

    leave_out: Annotated[list[Omissible], AfterValidator(_once_each)] = Field(
        [], description="parts of the energy that are not priced, for comparison with simulators that leave them out"
    )


class ResidencySpec(Spec):
    """What stays on chip from operation to operation, or comes early, on one core of one chip; by default nothing."""

    fused_attention: bool | Literal["always"] = Field(
        False,
        description="score, softmax and value of attention go from key tile to key tile together, with an online "
        "softmax: only queries, keys, values and results cross the DRAM port; true: where it is no slower and moves "
        "no more, always: wherever tiles fit",
    )
    fused_overlap: bool = Field(
        True,
        description="in fused attention the vector unit makes one block's softmax while the array multiplies the "
        "values of the block before and the scores of the one after it, where there is room and it pays",
    )
    weights: bool = Field(
        False, description="if all weights of a workload fit in the weights buffer, they are loaded once and stay"
    )
    outputs: bool = Field(
        False,
        description="a result that fits in the activation buffer stays there as the next product's activations, where "
        "the order of the workload says who reads it and it is no slower and moves no more",
    )
    prefetch: bool = Field(
        False,
        description="the first load of a product (weights; activations that are there already) moves while the port "
        "has nothing else to do before it, into the half of the buffers that is free",
    )

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the options that are on."""
        return tuple(name for name in ("fused_attention", "weights", "outputs", "prefetch") if getattr(self, name))
