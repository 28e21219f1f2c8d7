"""From an architecture file to a machine: array shapes, port widths and unit prices.

:class:`Simulated` binds an accelerator to its
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

from hwsim.formats import Format, parse_format
from hwsim.formats.own import look_beside
from hwsim.hardware.accelerator import Accelerator
from hwsim.hardware.accelerator_build import array_pe, build_accelerator, scale_group
from hwsim.hardware.accelerator_on_device import build_on_device
from hwsim.hardware.accelerator_spec import MAX_EDGE
from hwsim.hardware.fpga.beside import devices_beside
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.hardware.pe import PE, kv_format
from hwsim.hardware.pe.lockstep import Lockstep
from hwsim.hardware.pe.operands import Operands
from hwsim.hardware.pe.pipeline import SCALED_SUM_BITS
from hwsim.hardware.target.clocks import sharing
from hwsim.simulate.arch_spec import ArchSpec, load_arch
from hwsim.simulate.array_shape import array_shape, converting, held_bits, stored_bits, widest_ports
from hwsim.simulate.cost import UnitCosts, left_out
from hwsim.simulate.dataflow import ArrayShape, Dataflow, get_dataflow
from hwsim.simulate.fill import filled
from hwsim.simulate.fitting_formats import refuse_idle, refuse_unfit
from hwsim.simulate.level_machine import LEVELS, level_machine, step_bits
from hwsim.simulate.mapping import Machine, Prices, best_of
from hwsim.simulate.run_spec import latency_mapper
from hwsim.simulate.schedule import OperandBits
from hwsim.simulate.unit_costs import build_costs
from hwsim.spec.bind import bind
from hwsim.spec.document import Document, load_document
from hwsim.spec.errors import InfeasibleError, UsageError
from hwsim.workload.ops import Gemm
from hwsim.workload.policy import Policy

#: Expected cycles are rounded up to a whole number of such parts of a cycle: times stay exact fractions.
CYCLE_PARTS = 1024

#: Operands of which nothing is stated: random ones, a new pair per step.
RANDOM = Operands()


def open_arch(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Simulated:
    """Read an architecture file, apply ``--set`` overrides, and build the machine.

    Raises
    ------
    SpecError
        With every problem of the file, each at its line and column; also when the machine cannot
        be built.
    """
    look_beside(path)
    document = devices_beside(load_document(path))
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
            return self._fitted(found, gemm)
        m, k, n = (gemm.m, gemm.k, gemm.n) if gemm else (MAX_EDGE, MAX_EDGE * pe.lanes, MAX_EDGE)
        step = self.dataflow.lockstep(found.shape, m, k, n)
        waiting = (*key, step, operands)
        if waiting not in self._machines:
            shape = expected_shape(found.shape, pe, w, a, step, operands)
            self._machines[waiting] = replace(found, shape=shape, prices=self._prices(w, a, operands))
        return self._machines[waiting]

    def _fitted(self, machine: Machine, gemm: Gemm | None) -> Machine:
        """Return the machine with its array set up as is best for ``gemm``."""
        if gemm is None or machine.policy != "search":
            return machine
        ways = self.dataflow.settings(machine.shape, gemm.m, gemm.k, gemm.n)
        return machine if len(ways) == 1 else best_of(gemm, [replace(machine, shape=shape) for shape in ways])

    def _build_machine(self, w: Format, a: Format, o: Format, weight_bits: float | None) -> Machine:
        """Return the machine with the worst case of cycles that depend on data."""
        acc, pe = self.accelerator, self.accelerator.pe
        refuse_unfit(self.spec, acc, [(w, a)])
        if pe.data_dependent(w, a) and not self.dataflow.follows_data:
            raise UsageError(
                f"array.dataflow: a {self.dataflow.name} array keeps time by counting, and cycles of pe {pe.family} on "
                f"{w.name} × {a.name} depend on data; valid: broadcast, output_stationary and other systolic arrays"
            )
        scaled = pe.scaling(w, a) == "sum"
        psum_bits = SCALED_SUM_BITS if scaled else pe.mode(w, a).psum_bits
        bits = operand_bits(w, a, o, psum_bits, weight_bits)
        if acc.stores:
            return level_machine(self.spec, acc, self.unit_costs(w, a), (w, a), bits)
        weights, activations, outputs = (self.spec.memories.buffer(name) for name in BUFFERS.values())
        return Machine(
            dataflow=self.dataflow,
            shape=self._shape(w, a, weight_bits),
            bits=bits,
            capacity_w_bits=weights.part_bits,
            capacity_a_bits=activations.part_bits,
            capacity_o_bits=outputs.part_bits,
            parts=(weights.parts, activations.parts, outputs.parts),
            dram_bits_per_cycle=acc.dram_bits_per_cycle,
            group_k=scale_group(*pe.arriving(w, a)) if scaled else None,
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
        wires = {
            k: unit.network_pj_per_bit
            + unit.shift_pj_per_bit[k]
            + unit.bus_pj_per_bit[k]
            + unit.pad_pj_per_bit.get(k, 0)
            for k in BUFFERS
        }
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
        bits = stored_bits(pe, w, a)
        if weight_bits is not None:  # as they are stored; what decodes them is behind the port
            bits["w"] = ceil(weight_bits)
        group = scale_group(*pe.arriving(w, a)) if pe.scaling(w, a) != "none" else None
        if group is not None and group % pe.lanes:
            raise InfeasibleError(
                f"pe.lanes: {pe.lanes} does not divide the scale group of {group} elements of {w.name}"
            )
        sums = group if pe.scaling(w, a) == "sum" else None
        least = self._dequant_stall(w, a, sums) if sums else 1
        plain = replace(
            converting(array_shape(self.spec, pe), self.spec.array, pe, w, a),
            interval=max(pe.cycles_per_step(w, a), least),
            k_limit=sums,
            least=least,
        )
        needed = self.dataflow.edge_bits(plain, bits)
        shape = self.dataflow.timed(plain, needed, {key: sram.width_bits for key, sram in acc.srams.items()})
        return replace(shape, drain_interval=0) if self.spec.array.scalesim_os_cycles else shape

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
            found = build_costs(self.spec, self.accelerator, self.dataflow, (w, a), operands)
            self._costs[key] = left_out(found, self.spec.costs.leave_out)
        return self._costs[key]


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
    if spec.device is not None and spec.target.fill:
        return filled(spec, simulate_arch, sharing(get_dataflow(spec.array.dataflow).stationary))
    pe = array_pe(spec)
    if spec.memories.levels:
        dataflow: Dataflow = LEVELS
        ports = step_bits(pe)
    else:
        dataflow = get_dataflow(spec.array.dataflow)
        ports = widest_ports(dataflow, spec, pe)
    policy = run_policy(spec, pe)
    names = ((policy.w_format, policy.a_format), (policy.kv_format, policy.a_format))
    runs = [(parse_format(w or ""), parse_format(a or "")) for w, a in names]
    runs += [(mode.w_format, mode.a_format) for mode in pe.modes]
    scaled = [pair for pair in runs if pe.supports(*pair) is None and pe.scaling(*pair) == "sum"][:1]
    scaled += [
        pair
        for pair in asked_pairs(spec, policy)
        if pair not in scaled and pe.supports(*pair) is None and pe.scaling(*pair) == "sum"
    ]
    second = held_bits(dataflow, spec, pe) if spec.array.weight_double_buffer else 0
    build: Callable[..., Accelerator] = build_accelerator
    if spec.device is not None:
        spec = spec.model_copy(update={"mapper": latency_mapper(spec.mapper, spec.device)})
        build = partial(build_on_device, shared=sharing(dataflow.stationary))
    accelerator = build(spec, ports, scaled, dataflow.dequant_site == "pe", second)
    refuse_idle(spec, accelerator, scaled)
    return Simulated(spec, accelerator, dataflow)


def asked_pairs(spec: ArchSpec, policy: Policy) -> list[tuple[Format, Format]]:
    """Return the pairs that ``dequantize`` adds to those of a run: named formats with each other and the run's own."""
    asked = spec.dequantize
    if not asked.asked:
        return []
    weights = [parse_format(name) for name in dict.fromkeys([*asked.weights, policy.w_format or ""])]
    activations = [parse_format(name) for name in dict.fromkeys([*asked.activations, policy.a_format or ""])]
    return [(w, a) for w in weights for a in activations]


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


def operand_bits(w: Format, a: Format, o: Format, psum_bits: int, weight_bits: float | None = None) -> OperandBits:
    """Return storage bits per element over their common denominator; ``weight_bits`` instead of those of ``w``."""
    stored = Fraction(w.bits_per_element) if weight_bits is None else Fraction(str(weight_bits))
    exact = [stored, *(Fraction(f.bits_per_element) for f in (a, o))]
    denominator = lcm(*(f.denominator for f in exact))
    w_bits, a_bits, o_bits = (int(f * denominator) for f in exact)
    return OperandBits(w_bits, a_bits, o_bits, psum=psum_bits * denominator, denominator=denominator)


__all__ = ["ArchSpec", "Simulated", "load_arch", "open_arch", "run_policy", "simulate_arch"]
