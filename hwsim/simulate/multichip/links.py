"""Messages between chips: what they take and cost.

Collectives go round a ring of P chips in pieces of 1/P (Patarasuk and Yuan, "Bandwidth optimal all-reduce
algorithms for clusters of workstations", J. Parallel Distrib. Comput. 69(2), 2009): a reduce-scatter and
an all-gather take P - 1 steps each, an all-reduce is both, and every chip sends 2 (P - 1) / P of the data.
Where p < P chips have sums or parts, only these add, and the others get what they make; what one chip has
alone is passed on from chip to chip (a broadcast). In an all-to-all every piece takes the shorter way round.

Sums travel as accumulators hold them, in up to 32 bits (or in ``chips.reduce_bits``), results in their
own format. All that is sent comes from the sender's DRAM, what arrives goes to the receiver's; both pass the
activation buffer, in and out, as they do in vector operations, and what only goes past a chip does not. Sums
that arrive are read there to be added, what is left of them is quantized and written. Link, DRAM port and
vector units work at the same time, and the slowest decides. Messages do not overlap with the work before or
after them: one to the next chip takes the time of both, of one its port to read, of the other to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Literal

from hwsim.formats import parse_format
from hwsim.hardware.network.chips import MOST_SUM_BITS, ChipsSpec
from hwsim.simulate.architecture import Simulated
from hwsim.simulate.cost import Counts, dram_energy, leakage_energy, moved_bytes, sram_energy, sram_parts
from hwsim.simulate.dataflow.base import ceil_div
from hwsim.simulate.multichip.layouts import Part, exchange
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import quantization, work

Kind = Literal["all_reduce", "all_gather", "broadcast", "all_to_all", "send", "receive", "bubble"]


@dataclass(frozen=True)
class Message:
    """A message about an ``m`` × ``n`` tensor × ``batch``, as a row of the layer table.

    ``have`` says what of it each chip has before, by default an even part; ``need`` what an all-to-all leaves.
    """

    layer: str
    op: Kind
    m: int
    n: int
    batch: int = 1
    repeat: int = 1
    a_format: str = ""
    o_format: str = ""
    have: Part | None = None
    need: Part | None = None

    @property
    def elements(self) -> int:
        """Elements of one message."""
        return self.m * self.n * self.batch

    def holders(self, chips: int) -> int:
        """Return how many of ``chips`` have a part before."""
        return len(self.have.sizes) if self.have else chips

    def piece(self, chips: int) -> int:
        """Return the elements of the largest part."""
        if self.have is None:
            return int(ceil_div(self.elements, chips))
        return int(ceil_div(self.elements * max(self.have.sizes), sum(self.have.sizes)))


@dataclass(frozen=True)
class _Sent:
    """A message: the chips that it keeps, bits over the busiest link, times a latency passes, and bits of all.

    ``hop_bits`` are counted on every link that they cross. ``port_bits`` are those of the busiest DRAM port;
    ``adders`` chips add so many sums and quantize so many results, in rows of ``n``, each.
    """

    chips: int
    link_bits: int
    latencies: int
    hop_bits: int
    dram_read_bits: int
    dram_write_bits: int
    port_bits: int
    sram_read_bits: int
    sram_write_bits: int
    adders: int = 0
    added: int = 0
    results: int = 0
    n: int = 1


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
    if message.op == "all_reduce":
        sent = _reduced(message, chips, sum_bits(simulated))
    elif message.op == "all_to_all":
        sent = _exchanged(message, chips)
    else:
        sent = {"send": _leaving, "receive": _arriving}.get(message.op, _gathered)(message, chips)
    return _row(simulated, sent, message.o_format)


def _leaving(message: Message, chips: int) -> _Sent:
    """The sender's side of a message to the next chip; the link counts here."""
    bits = _stored(message.elements, message.o_format)
    return _Sent(1, bits, 1, bits, bits, 0, bits, bits, bits)


def _arriving(message: Message, chips: int) -> _Sent:
    """The receiver's side: it stands for as long, and its port writes what the sender's reads."""
    bits = _stored(message.elements, message.o_format)
    return _Sent(1, bits, 1, 0, 0, bits, bits, bits, bits)


def _gathered(message: Message, chips: int) -> _Sent:
    """Parts of p chips for all: every link carries all parts but the one that the chip behind it has."""
    holders = message.holders(chips)
    part = _stored(message.piece(chips), message.o_format)
    whole = holders * part
    arriving = whole if holders < chips else whole - part
    all_arriving = (chips - 1) * whole
    return _Sent(
        chips, arriving, chips - 1, all_arriving, whole, all_arriving, whole,
        sram_read_bits=whole + all_arriving, sram_write_bits=whole + all_arriving,
    )  # fmt: skip


def _reduced(message: Message, chips: int, wide: int) -> _Sent:
    """Sums of p chips, of which each adds up 1/p, quantizes it, and sends it to all.

    Among p chips of a ring of P the step from the last to the first crosses P - p + 1 links.
    """
    holders = message.holders(chips)
    step = ceil_div(message.elements, holders)
    sums, part = step * wide, _stored(step, message.o_format)
    own, added = holders * sums, (holders - 1) * sums
    whole = holders * part
    gathered = whole if holders < chips else whole - part
    return _Sent(
        chips,
        link_bits=added + gathered,
        latencies=(holders - 1) * (chips - holders + 1) + chips - 1,
        hop_bits=chips * added + (chips - 1) * whole,
        dram_read_bits=holders * own,
        dram_write_bits=chips * whole,
        port_bits=own + whole,
        sram_read_bits=holders * (own + added) + whole + chips * whole,
        sram_write_bits=holders * (own + added) + chips * whole,
        adders=holders,
        added=(holders - 1) * step,
        results=step,
        n=message.n,
    )


def _exchanged(message: Message, chips: int) -> _Sent:
    """Pieces of what each chip has for what each other one needs, read and written once."""
    assert message.have is not None
    assert message.need is not None
    found = exchange(message.have, message.need, chips)

    def bits(units: int) -> int:
        return _stored(int(ceil_div(units * message.elements, found.of)), message.o_format)

    moved = bits(found.moved)
    return _Sent(
        chips, bits(found.link), chips // 2, bits(found.hops), moved, moved, bits(found.port), 2 * moved, 2 * moved
    )


def _stored(elements: int, name: str) -> int:
    return ceil(elements * parse_format(name).bits_per_element)


def _row(simulated: Simulated, sent: _Sent, o_format: str) -> dict[str, Any]:
    asked, acc = chips_of(simulated), simulated.accelerator
    clock = Fraction(acc.spec.clock)
    link = sent.link_bits * clock / (8 * Fraction(asked.link_bandwidth))
    link += sent.latencies * Fraction(asked.link_latency or 0) * clock / 10**9
    dram = sent.port_bits / acc.dram_bits_per_cycle
    added, added_pj = work(simulated, vector_kind("add"), sent.added, acc.cores) if sent.added else (0, 0.0)
    quantized, quantized_pj = quantization(simulated, o_format, sent.results, sent.n, acc.cores)
    takes = {"link": link, "dram": dram, "vector": Fraction(added + quantized)}
    unit = simulated.unit_costs(acc.pe.w_format, acc.pe.a_format)
    counts = Counts(sent.dram_read_bits, sent.dram_write_bits, {"a": sent.sram_read_bits}, {"a": sent.sram_write_bits})
    row = _standing(simulated, ceil(max(takes.values())), sent.chips)
    row["bound"] = max(takes, key=lambda name: takes[name])
    row["energy_dram_pj"] += dram_energy(counts, 0, unit)
    row["energy_sram_pj"] = sram_energy(counts.sram_read_bits, counts.sram_write_bits, unit)
    # Between buffer and DRAM port or link a bit crosses the chip, once each way.
    link_pj = 0.0 if "network" in simulated.spec.costs.leave_out else asked.link_energy
    inside = (sent.sram_read_bits + sent.sram_write_bits) * unit.network_pj_per_bit
    inside += (sent.dram_read_bits + sent.dram_write_bits) * unit.cores_pj_per_bit
    row["energy_network_pj"] = sent.hop_bits * link_pj + inside
    row["energy_vector_pj"] = (added_pj + quantized_pj) * sent.adders
    return {**row, **moved_bytes(counts), **sram_parts(counts, unit)}


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
