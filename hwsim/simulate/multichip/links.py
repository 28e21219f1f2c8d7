"""Messages between chips: what they take and cost.

Collectives go round a ring of P chips in pieces of 1/P (Patarasuk and Yuan, "Bandwidth optimal all-reduce
algorithms for clusters of workstations", J. Parallel Distrib. Comput. 69(2), 2009): a reduce-scatter and
an all-gather take P - 1 steps each, an all-reduce is both, and every chip sends 2 (P - 1) / P of the data.
Sums travel as accumulators hold them, in up to 32 bits (or in ``chips.reduce_bits``), results in their
own format. A chip reads the sums that it has from its DRAM once, adds what arrives, quantizes its part of
the result and writes all of it; what is only gathered or sent is read by who has it and written by who
gets it. Link, DRAM port and vector units work at the same time, and the slowest decides. Messages do not
overlap with the work before or after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Literal

from hwsim.formats import parse_format
from hwsim.hardware.network.chips import MOST_SUM_BITS, ChipsSpec
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, dram_energy, leakage_energy, moved_bytes
from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import quantization, work

Kind = Literal["all_reduce", "all_gather", "send", "bubble"]


@dataclass(frozen=True)
class Message:
    """A message about an ``m`` × ``n`` tensor × ``batch``, as a row of the layer table."""

    layer: str
    op: Kind
    m: int
    n: int
    batch: int = 1
    repeat: int = 1
    a_format: str = ""
    o_format: str = ""

    @property
    def elements(self) -> int:
        """Elements of one message."""
        return self.m * self.n * self.batch


@dataclass(frozen=True)
class _Sent:
    """What each of ``senders`` does at once: bits over its link and its DRAM port, sums added, results made."""

    senders: int
    messages: int
    bits: int
    read_bits: int
    written_bits: int
    added: int = 0
    results: int = 0


def chips_of(simulated: Simulated) -> ChipsSpec:
    """Return what the architecture says of its chips."""
    asked = simulated.spec.chips
    assert asked is not None
    return asked


def sum_bits(simulated: Simulated) -> int:
    """Return the bits of a partial sum between chips: wider accumulators are rounded to FP32."""
    pe = simulated.accelerator.pe
    return chips_of(simulated).reduce_bits or min(MOST_SUM_BITS, pe.mode(pe.w_format, pe.a_format).psum_bits)


def message_row(simulated: Simulated, message: Message) -> dict[str, Any]:
    """Return the cost of one instance of ``message``, as layer-table columns: cycles of the slowest, energy of all."""
    chips = chips_of(simulated).count
    if message.op == "send":
        bits = _stored(message.elements, message.o_format)
        return _row(simulated, _Sent(1, 1, bits, bits, bits), message.o_format)
    step = ceil_div(message.elements, chips)
    part = _stored(step, message.o_format)
    others = (chips - 1) * part
    if message.op == "all_gather":
        return _row(simulated, _Sent(chips, chips - 1, others, part, others), message.o_format)
    sums = step * sum_bits(simulated)
    sent = _Sent(
        chips, 2 * (chips - 1), (chips - 1) * sums + others, chips * sums, part + others, (chips - 1) * step, step
    )
    return _row(simulated, sent, message.o_format)


def _stored(elements: int, name: str) -> int:
    return ceil(elements * parse_format(name).bits_per_element)


def _row(simulated: Simulated, sent: _Sent, o_format: str) -> dict[str, Any]:
    asked, acc = chips_of(simulated), simulated.accelerator
    clock = Fraction(acc.spec.clock)
    link = sent.bits * clock / (8 * Fraction(asked.link_bandwidth))
    link += sent.messages * Fraction(asked.link_latency or 0) * clock / 10**9
    dram = (sent.read_bits + sent.written_bits) / acc.dram_bits_per_cycle
    added, added_pj = work(simulated, vector_kind("add"), sent.added, acc.cores) if sent.added else (0, 0.0)
    quantized, quantized_pj = quantization(simulated, o_format, sent.results, acc.cores)
    takes = {"link": link, "dram": dram, "vector": Fraction(added + quantized)}
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    counts = Counts(sent.read_bits * sent.senders, sent.written_bits * sent.senders, {}, {})
    # A message to the next chip keeps the sender busy; the one that gets it has work of its own, or waits.
    row = _standing(simulated, ceil(max(takes.values())), sent.senders)
    row["bound"] = max(takes, key=lambda name: takes[name])
    row["energy_dram_pj"] += dram_energy(counts, 0, unit)
    # On its way a bit crosses both chips, from the DRAM port to the link and back.
    link_pj = 0.0 if "network" in simulated.spec.costs.leave_out else asked.link_energy
    row["energy_network_pj"] = sent.bits * sent.senders * (link_pj + 2 * unit.network_pj_per_bit)
    row["energy_vector_pj"] = (added_pj + quantized_pj) * sent.senders
    return {**row, **moved_bytes(counts)}


def _standing(simulated: Simulated, cycles: int, chips: int) -> dict[str, Any]:
    """Return a row of ``chips`` that stand for ``cycles``: leakage, and DRAM that is kept alive."""
    acc = simulated.accelerator
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    nothing = Counts(0, 0, {}, {})
    return {
        "macs": 0,
        "cycles": cycles,
        "compute_cycles": 0,
        "utilization": 0.0,
        "bound": "idle",
        **moved_bytes(nothing),
        "energy_pe_pj": 0.0,
        "energy_rf_pj": 0.0,
        "energy_sram_pj": 0.0,
        "sram_read_pj": 0.0,
        "sram_write_pj": 0.0,
        "energy_dram_pj": chips * dram_energy(nothing, cycles, unit),
        "energy_network_pj": 0.0,
        "energy_vector_pj": 0.0,
        "energy_leakage_pj": chips * leakage_energy(cycles, unit),
    }


def bubble_row(simulated: Simulated, cycles: int) -> dict[str, Any]:
    """Return a row of one chip that waits for ``cycles``."""
    return _standing(simulated, cycles, 1)
