"""What an architecture file says: the hardware, and what the simulation decides of it.

:class:`ArchSpec` adds to the hardware the dataflow's name, the mapper's objective and the formats of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from hwsim.formats.own import look_beside
from hwsim.hardware.accelerator_spec import ArraySpec, HardwareSpec
from hwsim.hardware.fpga.beside import devices_beside
from hwsim.hardware.off_chip import make_dram, open_channels
from hwsim.hardware.pe import make_pe
from hwsim.simulate.dataflow import DATAFLOWS, get_dataflow
from hwsim.simulate.mapping import POLICIES
from hwsim.simulate.policies import LOOP_NEST
from hwsim.simulate.run_spec import CostsSpec, FormatsSpec, MapperSpec, ResidencySpec
from hwsim.spec.bind import as_value_error, bind
from hwsim.spec.document import load_document
from hwsim.spec.errors import UsageError, did_you_mean

#: Options of ``array`` that one dataflow needs and no other has, each with what it may be.
OWN_OPTIONS = {
    "scratchpads": "{weights: 224, activations: 12, sums: 24}, for example",
    "tables": "ahead, between",
    "issue": "what a core issues, as in hwsim's example mcu_simd_45nm",
}


class ArchSpec(HardwareSpec):
    """An architecture file: hardware, dataflow, mapper, formats."""

    formats: FormatsSpec = FormatsSpec()
    mapper: MapperSpec = MapperSpec()
    costs: CostsSpec = CostsSpec()
    residency: ResidencySpec = ResidencySpec()

    @model_validator(mode="after")
    def _known_names(self) -> ArchSpec:
        name = self.array.dataflow
        if name not in DATAFLOWS:
            raise ValueError(f"array.dataflow: unknown {name!r}; {did_you_mean(name, DATAFLOWS.names())}")
        if self.array.scalesim_os_cycles and name != "output_stationary":
            raise ValueError(f"array.scalesim_os_cycles: is about output_stationary, the dataflow is {name}")
        options = self.array.weight_double_buffer or self.array.fold_overlap or self.array.ragged != "padded"
        if self.array.scalesim_os_cycles and options:
            raise ValueError("array.scalesim_os_cycles: takes no other option: SCALE-Sim pads its folds, one by one")
        for option, reason in get_dataflow(name).without_effect.items():
            if getattr(self.array, option) != ArraySpec.model_fields[option].default:
                raise ValueError(f"array.{option}: has no effect on a {name} array: {reason}; leave it out")
        _check_own_options(self)
        _check_policy(self)
        _check_residency(self)
        as_value_error(_check_parts)(self)
        return self


def _check_own_options(spec: ArchSpec) -> None:
    """Refuse options of other dataflows, and the lack of what this one needs."""
    name = spec.array.dataflow
    for option, valid in OWN_OPTIONS.items():
        given, needed = getattr(spec.array, option) is not None, get_dataflow(name).needs == option
        if given != needed:
            what = f"has no meaning for a {name} array"
            if needed:
                what = f"is missing: a {name} array needs it; valid: {valid}"
            raise ValueError(f"array.{option}: {what}")


def _check_policy(spec: ArchSpec) -> None:
    """Refuse a policy that is unknown or not for the kind of memories, and an objective that it does not have."""
    policy, levels = spec.mapper.policy, spec.memories.levels
    if policy not in POLICIES:
        raise ValueError(f"mapper.policy: unknown {policy!r}; {did_you_mean(policy, POLICIES.names())}")
    if spec.mapper.exhaustive and not levels:
        raise ValueError("mapper.exhaustive: is for memories.levels; leave it out")
    if levels and policy not in ("search", LOOP_NEST):
        raise ValueError(f"mapper.policy: {policy} is for three buffers; with memories.levels, valid: search")
    if policy == LOOP_NEST and not levels:
        raise ValueError(f"mapper.policy: {LOOP_NEST} is for memories.levels; of three buffers, valid: search")
    several = spec.cores is not None and spec.cores.count > 1 and spec.cores.split == "auto"
    if policy not in ("search", LOOP_NEST) and spec.mapper.objective != "edp" and not several:
        raise ValueError(
            f"mapper.objective: has no effect with policy: {policy}, whose rule decides; leave it out, or valid: "
            "policy: search"
        )


def _check_residency(spec: ArchSpec) -> None:
    """Refuse residency where what stays on chip is not modelled: several cores or chips, rules of simulators."""
    asked = spec.residency.asked
    if not asked:
        return
    if spec.memories.levels:
        raise ValueError(f"residency.{asked[0]}: valid with three buffers; memories.levels maps every GEMM for itself")
    if spec.mapper.policy != "search":
        raise ValueError(f"residency.{asked[0]}: needs mapper.policy search, not {spec.mapper.policy}")
    unit = spec.vector_unit
    if spec.residency.fused_attention and (unit.arithmetic != "programs" or unit.softmax == "fused"):
        own = f"arithmetic: {unit.arithmetic}" if unit.arithmetic != "programs" else "softmax: fused"
        raise ValueError(
            f"residency.fused_attention: has an online softmax of its own beside vector_unit.{own}; leave one out"
        )
    if spec.residency.prefetch and spec.dram.banks:
        raise ValueError("residency.prefetch: counts the port's idle cycles, not those of dram.banks; leave one out")
    for part, number in (("cores", spec.cores and spec.cores.count), ("chips", spec.chips and spec.chips.count)):
        if number and number > 1:
            raise ValueError(f"residency.{asked[0]}: valid on one core of one chip; {part}.count is {number}")
    if spec.chips and spec.chips.micro_batches > 1:
        raise ValueError(
            f"residency.{asked[0]}: valid for one batch; chips.micro_batches is {spec.chips.micro_batches}"
        )


def _check_parts(spec: ArchSpec) -> None:
    """Refuse a PE or DRAM that cannot be built or stepped, naming the field."""

    def dram() -> object:
        return open_channels(spec.dram, make_dram(spec.dram))

    for name, build in (("pe", lambda: make_pe(spec.pe)), ("dram", dram)):
        try:
            build()
        except UsageError as error:
            text = str(error)
            raise UsageError(text if text.startswith((f"{name}.", f"{name}:")) else f"{name}: {text}") from error


def load_arch(path: str | Path, overrides: Mapping[str, Any] | None = None) -> ArchSpec:
    """Read an architecture file, apply ``--set`` overrides and validate it.

    Raises
    ------
    SpecError
        With every problem of the file, each at its line and column.
    """
    look_beside(path)
    document = devices_beside(load_document(path))
    return bind(document.with_overrides(overrides) if overrides else document, ArchSpec)
