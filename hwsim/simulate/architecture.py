"""From an architecture file to a machine: array shapes, port widths and unit prices.

:class:`ArchSpec` adds to the hardware what the simulation decides: the dataflow's name, the
mapper's objective and the formats of a run. :class:`Simulated` binds an accelerator to its
dataflow and answers, per pair of formats, what the mapper and the cost model need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from math import ceil, lcm
from pathlib import Path
from typing import Any

from pydantic import model_validator

from hwsim.formats import Format, parse_format
from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.formats.own import look_beside
from hwsim.hardware.accelerator import BUFFERS, Accelerator, build_accelerator, make_dram, scale_group
from hwsim.hardware.accelerator_on_device import build_on_device
from hwsim.hardware.accelerator_spec import MAX_EDGE, ArraySpec, HardwareSpec
from hwsim.hardware.circuits import Register
from hwsim.hardware.pe import PE, kv_format, make_pe
from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.hardware.pe.operands import Operands, bit_toggles
from hwsim.hardware.pe.pipeline import SCALED_SUM_BITS
from hwsim.hardware.target.clocks import shared_operands
from hwsim.simulate.cost import UnitCosts, left_out
from hwsim.simulate.dataflow import DATAFLOWS, ArrayShape, Dataflow, get_dataflow
from hwsim.simulate.fill import filled
from hwsim.simulate.mapping import POLICIES, Machine, Prices
from hwsim.simulate.run_spec import CostsSpec, FormatsSpec, MapperSpec, ResidencySpec, latency_mapper
from hwsim.simulate.schedule import OperandBits
from hwsim.spec.bind import as_value_error, bind
from hwsim.spec.document import Document, load_document
from hwsim.spec.errors import InfeasibleError, UsageError, did_you_mean
from hwsim.workload.ops import Gemm
from hwsim.workload.policy import Policy

#: Expected cycles are rounded up to a whole number of such parts of a cycle: times stay exact fractions.
CYCLE_PARTS = 1024

#: Operands of which nothing is stated: random ones, a new pair per step.
RANDOM = Operands()


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
        policy = self.mapper.policy
        if policy not in POLICIES:
            raise ValueError(f"mapper.policy: unknown {policy!r}; {did_you_mean(policy, POLICIES.names())}")
        _check_residency(self)
        as_value_error(_check_parts)(self)
        return self


def _check_residency(spec: ArchSpec) -> None:
    """Refuse residency where what stays on chip is not modelled: several cores or chips, rules of simulators."""
    asked = spec.residency.asked
    if not asked:
        return
    if spec.mapper.policy != "search":
        raise ValueError(f"residency.{asked[0]}: needs mapper.policy search, not {spec.mapper.policy}")
    unit = spec.vector_unit
    if spec.residency.fused_attention and (unit.arithmetic != "programs" or unit.softmax == "fused"):
        own = f"arithmetic: {unit.arithmetic}" if unit.arithmetic != "programs" else "softmax: fused"
        raise ValueError(
            f"residency.fused_attention: has an online softmax of its own beside vector_unit.{own}; leave one out"
        )
    for part, number in (("cores", spec.cores and spec.cores.count), ("chips", spec.chips and spec.chips.count)):
        if number and number > 1:
            raise ValueError(f"residency.{asked[0]}: valid on one core of one chip; {part}.count is {number}")
    if spec.chips and spec.chips.micro_batches > 1:
        raise ValueError(
            f"residency.{asked[0]}: valid for one batch; chips.micro_batches is {spec.chips.micro_batches}"
        )


def _check_parts(spec: ArchSpec) -> None:
    """Refuse a PE or DRAM that cannot be built, naming the field."""
    for name, build in (("pe", lambda: make_pe(spec.pe)), ("dram", lambda: make_dram(spec.dram))):
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
    document = load_document(path)
    return bind(document.with_overrides(overrides) if overrides else document, ArchSpec)


def open_arch(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Simulated:
    """Read an architecture file, apply ``--set`` overrides, and build the machine.

    Raises
    ------
    SpecError
        With every problem of the file, each at its line and column; also when the machine cannot
        be built.
    """
    look_beside(path)
    document = load_document(path)
    if overrides:
        document = document.with_overrides(overrides)
    spec = bind(document, ArchSpec)
    with document.blame():
        simulated = simulate_arch(spec)
    return replace(simulated, document=document)


@dataclass
class Simulated:
    """An accelerator with its dataflow; what ``evaluate`` runs a trace on.

    ``document`` is the file that it was read from, if it was: errors are reported there.
    """

    spec: ArchSpec
    accelerator: Accelerator
    dataflow: Dataflow
    document: Document | None = field(default=None, repr=False)
    _machines: dict[tuple[Any, ...], Machine] = field(default_factory=dict, repr=False)
    _costs: dict[tuple[Format, Format, Operands], UnitCosts] = field(default_factory=dict, repr=False)

    def blame(self) -> AbstractContextManager[None]:
        """Return a context in which errors about the architecture are reported at their place in its file."""
        return nullcontext() if self.document is None else self.document.blame()

    @cached_property
    def policy(self) -> Policy:
        """Formats of a run: those of the file, completed from the PE."""
        return run_policy(self.spec, self.accelerator.pe)

    def machine(
        self, w: Format, a: Format, o: Format, gemm: Gemm | None = None, operands: Operands = RANDOM
    ) -> Machine:
        """Return what the mapper needs for GEMMs of these formats.

        ``gemm`` and what is stated of its operands matter where cycles depend on data; without them the
        whole array waits, on the default distribution.

        Raises
        ------
        UsageError
            If the PE cannot compute this pair.
        """
        mean = self.spec.formats.weight_bits if gemm is not None and gemm.w_source == "dram" else None
        key = (w, a, o, mean)
        if key not in self._machines:
            self._machines[key] = self._build_machine(w, a, o, mean)
        found, pe = self._machines[key], self.accelerator.pe
        if not pe.data_dependent(w, a):
            return found
        m, k, n = (gemm.m, gemm.k, gemm.n) if gemm else (MAX_EDGE, MAX_EDGE * pe.lanes, MAX_EDGE)
        step = self.dataflow.lockstep(found.shape, m, k, n)
        waiting = (*key, step, operands)
        if waiting not in self._machines:
            shape = expected_shape(found.shape, pe, w, a, step, operands)
            self._machines[waiting] = replace(found, shape=shape, prices=self._prices(w, a, operands))
        return self._machines[waiting]

    def _build_machine(self, w: Format, a: Format, o: Format, weight_bits: float | None) -> Machine:
        """Return the machine with the worst case of cycles that depend on data."""
        acc, pe = self.accelerator, self.accelerator.pe
        reason = pe.supports(w, a)
        if reason is not None:
            raise UsageError(f"{self.spec.name}: pe {pe.family} cannot compute {w.name} × {a.name}: {reason}")
        if pe.scaling(w, a) == "sum" and acc.dequant_price is None:
            raise UsageError(
                f"{self.spec.name}: {w.name} × {a.name} needs a dequantizer, and none is priced for the formats of the "
                "architecture; name the format in pe or formats"
            )
        scaled = pe.scaling(w, a) == "sum"
        weights, activations, outputs = (getattr(self.spec.memories, name) for name in BUFFERS.values())
        return Machine(
            dataflow=self.dataflow,
            shape=self._shape(w, a, weight_bits),
            bits=operand_bits(w, a, o, SCALED_SUM_BITS if scaled else pe.mode(w, a).psum_bits, weight_bits),
            capacity_w_bits=weights.part_bits,
            capacity_a_bits=activations.part_bits,
            capacity_o_bits=outputs.part_bits,
            parts=(weights.parts, activations.parts, outputs.parts),
            dram_bits_per_cycle=acc.dram_bits_per_cycle,
            group_k=scale_group(w, a) if scaled else None,
            objective=self.spec.mapper.objective,
            policy=self.spec.mapper.policy,
            prices=self._prices(w, a),
            step_cycles=pe.cycles_per_step(w, a),
            port_bits=(acc.srams["w"].width_bits, acc.srams["a"].width_bits, acc.srams["o"].width_bits),
        )

    def _prices(self, w: Format, a: Format, operands: Operands = RANDOM) -> Prices:
        """Return the energies by which the mapper weighs its candidates; without any, DRAM traffic decides."""
        if self.spec.device is not None:
            return Prices()
        unit, pe = self.unit_costs(w, a, operands), self.accelerator.pe
        wires = {k: unit.network_pj_per_bit + unit.shift_pj_per_bit[k] + unit.bus_pj_per_bit[k] for k in BUFFERS}
        reads, writes = unit.sram_read_pj_per_bit, unit.sram_write_pj_per_bit
        return Prices(
            dram_pj_per_bit=(unit.dram_read_pj_per_bit + unit.dram_write_pj_per_bit) / 2 + unit.cores_pj_per_bit,
            sram_w_pj_per_bit=reads["w"] + wires["w"],
            sram_a_pj_per_bit=reads["a"] + wires["a"],
            sram_o_pj_per_bit=(reads["o"] + writes["o"]) / 2 + wires["o"],
            mac_pj=(unit.pe_pj_per_step + unit.pe_register_pj_per_step + unit.wire_pj_per_step) / pe.lanes,
            static_pj_per_cycle=(unit.leakage_w * 1e3 + unit.dram_background_mw) * unit.period_ns,
            clock_pj_per_cycle=unit.array_clock_pj_per_cycle,
            sram_read_pj_per_bit=(reads["w"], reads["a"], reads["o"]),
            sram_write_pj_per_bit=(writes["w"], writes["a"], writes["o"]),
        )

    def _shape(self, w: Format, a: Format, weight_bits: float | None) -> ArrayShape:
        """Return the array as this pair sees it: operand intervals limited by PE and ports."""
        acc, pe = self.accelerator, self.accelerator.pe
        plain = ArrayShape(acc.rows, acc.cols, pe.lanes)
        bits = element_bits(pe, w, a)
        if weight_bits is not None:  # as they are stored; what decodes them is behind the port
            bits["w"] = ceil(weight_bits)
        needed = self.dataflow.edge_bits(plain, bits)
        ports = {key: sram.width_bits for key, sram in acc.srams.items()}
        per_step = {key: ceil(needed[key] / ports[key]) for key in needed}
        streamed = max(cycles for key, cycles in per_step.items() if key != self.dataflow.stationary)
        group = scale_group(w, a) if pe.scaling(w, a) != "none" else None
        if group is not None and group % pe.lanes:
            raise InfeasibleError(
                f"pe.lanes: {pe.lanes} does not divide the scale group of {group} elements of {w.name}"
            )
        sums = group if pe.scaling(w, a) == "sum" else None
        least = max(streamed, self._dequant_stall(w, a, sums) if sums else 1)
        return ArrayShape(
            rows=acc.rows,
            cols=acc.cols,
            lanes=pe.lanes,
            interval=max(pe.cycles_per_step(w, a), least),
            load_interval=per_step["a" if self.dataflow.stationary == "a" else "w"],
            drain_interval=0 if self.spec.array.scalesim_os_cycles else per_step["o"],
            k_limit=sums,
            least=least,
            double_buffer=self.spec.array.weight_double_buffer,
            fold_overlap=self.spec.array.fold_overlap,
            used_only=self.spec.array.ragged == "used",
        )

    def _dequant_stall(self, w: Format, a: Format, group: int) -> int:
        """Return the cycles per step that the dequantizers of a column need to keep up."""
        pe, per_column = self.accelerator.pe, self.accelerator.dequantizers / self.accelerator.cols
        in_place = self.dataflow.dequant_site == "pe"
        waiting, steps = (self.accelerator.rows, group // pe.lanes) if in_place else (1, 1)
        return ceil(waiting * pe.dequant_cycles(w, a) / (per_column * steps))

    def unit_costs(self, w: Format, a: Format, operands: Operands = RANDOM) -> UnitCosts:
        """Return the price of every countable event for one pair of formats, by default on random operands."""
        key = (w, a, operands)
        if key not in self._costs:
            self._costs[key] = left_out(self._build_costs(w, a, operands), self.spec.costs.leave_out)
        return self._costs[key]

    def _build_costs(self, w: Format, a: Format, operands: Operands) -> UnitCosts:
        acc, pe = self.accelerator, self.accelerator.pe
        price = acc.mode_price(w, a, operands)
        cycles = pe.work_cycles_per_step(w, a, operands.data)
        registers = sum(row.energy_fj for row in price.rows if row.part.group == "register")
        wire_fj_mm = acc.technology.wire_fj_per_bit_mm * RANDOM_TOGGLE
        shape = ArrayShape(acc.rows, acc.cols, pe.lanes)
        hops = self.dataflow.wire_bits_mm(shape, element_bits(pe, w, a), acc.pe_pitch_mm)
        buses = self.dataflow.bus_mm(shape, acc.pe_pitch_mm)
        toggles = {"w": bit_toggles(operands.w, w), "a": bit_toggles(operands.a, a), "psum": 1.0}
        # What is stationary goes through half of the rows, a wire and, unless it has its own, a register per row.
        hop_fj = acc.pe_pitch_mm * wire_fj_mm
        if not self.dataflow.at_once:
            hop_fj += acc.technology.price(Register(1)).energy_fj
        shifted = (acc.rows + 1) / 2 * hop_fj * 1e-3
        if self.spec.array.weight_double_buffer:  # and from one of a PE's registers to the other
            shifted += acc.technology.price(Register(1)).energy_fj * 1e-3
        return UnitCosts(
            pe_pj_per_step=cycles * (price.energy_fj - registers) * 1e-3,
            pe_register_pj_per_step=cycles * registers * 1e-3,
            wire_pj_per_step=sum(mm * toggles[key] for key, mm in hops.items()) * wire_fj_mm * 1e-3,
            shift_pj_per_bit={k: shifted if k == self.dataflow.stationary else 0.0 for k in acc.srams},
            bus_pj_per_bit={k: buses[k] * toggles[k] * wire_fj_mm * 1e-3 if k in buses else 0.0 for k in acc.srams},
            array_clock_pj_per_cycle=acc.array_clock_pj(w, a, "dequantization" not in self.spec.costs.leave_out),
            dequant_pj=acc.dequant_price.energy_fj * 1e-3 if acc.dequant_price else 0.0,
            sram_read_pj_per_bit={k: s.read_pj / s.width_bits for k, s in acc.srams.items()},
            sram_write_pj_per_bit={k: s.write_pj / s.width_bits for k, s in acc.srams.items()},
            dram_read_pj_per_bit=acc.dram.read_pj_per_bit,
            dram_write_pj_per_bit=acc.dram.write_pj_per_bit,
            dram_background_mw=acc.dram.background_mw,
            network_pj_per_bit=acc.network_pj_per_bit,
            leakage_w=acc.leakage_w,
            period_ns=acc.period_ns,
            **_between_cores(acc),
        )


def _between_cores(acc: Accelerator) -> dict[str, float]:
    """Return the energies per bit of the network between cores; nothing on a chip of one core."""
    network = acc.core_network
    if network is None:
        return {}
    one, all_of_them = network.topology.unicast(network.grid), network.topology.broadcast(network.grid)
    return {"cores_pj_per_bit": network.pj_per_bit(one), "multicast_pj_per_bit": network.pj_per_bit(all_of_them)}


def expected_shape(shape: ArrayShape, pe: PE, w: Format, a: Format, step: Lockstep, operands: Operands) -> ArrayShape:
    """Return an array whose PEs wait for the slowest of ``step``: as long as expected, instead of the worst case."""
    expected = pe.expected_cycles_per_step(w, a, None, replace(step, least=shape.least), operands.data)
    interval = min(Fraction(ceil(expected * CYCLE_PARTS), CYCLE_PARTS), Fraction(shape.interval))
    return replace(shape, interval=int(interval) if interval.denominator == 1 else interval, data_cycles=True)


def simulate_arch(spec: ArchSpec) -> Simulated:
    """Price ``spec`` and bind it to its dataflow.

    Raises
    ------
    UsageError
        If a name in the spec is unknown or the PE cannot be built.
    InfeasibleError
        If a buffer cannot be built.
    """
    dataflow = get_dataflow(spec.array.dataflow)
    if spec.device is not None and spec.target.fill:
        return filled(spec, simulate_arch, shared_operands(dataflow.stationary))
    pe = make_pe(spec.pe)
    ports = widest_ports(dataflow, spec.array.rows, spec.array.cols, pe)
    policy = run_policy(spec, pe)
    names = ((policy.w_format, policy.a_format), (policy.kv_format, policy.a_format))
    runs = [(parse_format(w or ""), parse_format(a or "")) for w, a in names]
    runs += [(mode.w_format, mode.a_format) for mode in pe.modes]
    scaled = next((pair for pair in runs if pe.supports(*pair) is None and pe.scaling(*pair) == "sum"), None)
    second = held_bits(dataflow, pe) if spec.array.weight_double_buffer else 0
    build: Callable[..., Accelerator] = build_accelerator
    if spec.device is not None:
        spec = spec.model_copy(update={"mapper": latency_mapper(spec.mapper, spec.device)})
        build = partial(build_on_device, shared=shared_operands(dataflow.stationary))
    accelerator = build(spec, ports, scaled, dataflow.dequant_site == "pe", second)
    return Simulated(spec, accelerator, dataflow)


def run_policy(spec: ArchSpec, pe: PE) -> Policy:
    """Return the formats of a run: those of the file, completed from the PE."""
    own = spec.formats
    a = own.activations or pe.a_format.name
    return Policy(
        w_format=own.weights or pe.w_format.name,
        a_format=a,
        kv_format=own.kv_cache or kv_format(pe, parse_format(a)).name,
        o_format=own.outputs or a,
    )


def element_bits(pe: PE, w: Format, a: Format) -> dict[str, int]:
    """Return whole bits per element on the array's wires and ports, scales shared out."""
    return {"w": ceil(w.bits_per_element), "a": ceil(a.bits_per_element), "psum": pe.mode(w, a).psum_bits}


def held_bits(dataflow: Dataflow, pe: PE) -> int:
    """Return the bits of the stationary operand that a PE holds, in the mode that needs most."""
    return max(
        mode.psum_bits
        if dataflow.stationary == "o"
        else mode.lanes * element_bits(mode, mode.w_format, mode.a_format)[dataflow.stationary]
        for mode in pe.modes
    )


def widest_ports(dataflow: Dataflow, rows: int, cols: int, pe: PE) -> dict[str, int]:
    """Return the bits per step at the edges of an array, by buffer: what the widest mode of its PEs needs."""
    needed = [
        dataflow.edge_bits(ArrayShape(rows, cols, mode.lanes), element_bits(mode, mode.w_format, mode.a_format))
        for mode in pe.modes
    ]
    return {key: max(bits[key] for bits in needed) for key in needed[0]}


def operand_bits(w: Format, a: Format, o: Format, psum_bits: int, weight_bits: float | None = None) -> OperandBits:
    """Return storage bits per element over their common denominator; ``weight_bits`` instead of those of ``w``."""
    stored = Fraction(w.bits_per_element) if weight_bits is None else Fraction(str(weight_bits))
    exact = [stored, *(Fraction(f.bits_per_element) for f in (a, o))]
    denominator = lcm(*(f.denominator for f in exact))
    w_bits, a_bits, o_bits = (int(f * denominator) for f in exact)
    return OperandBits(w_bits, a_bits, o_bits, psum=psum_bits * denominator, denominator=denominator)


__all__ = ["ArchSpec", "Simulated", "load_arch", "open_arch", "run_policy", "simulate_arch"]
