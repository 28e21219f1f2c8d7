"""What a run assumes: of data that cycles depend on, of buffers and sums that keep up with the clock, whose rules."""

from __future__ import annotations

from hwsim.formats import parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.memories_spec import BUFFERS
from hwsim.hardware.memory import Sram
from hwsim.hardware.memory.cell import Cell
from hwsim.hardware.pe.clocking import clocking
from hwsim.hardware.pe.operands import Operands
from hwsim.simulate.architecture import Simulated
from hwsim.workload import Gemm, Trace


def data_notes(simulated: Simulated, trace: Trace) -> tuple[str, ...]:
    """Return a line per pair of formats and stated data whose cycles depend on data; nothing where none do.

    The formats of ``trace`` are filled.
    """
    pe = simulated.accelerator.pe
    gemms = [op for op in trace.ops if isinstance(op, Gemm)]
    found: dict[str, list[float]] = {}
    for gemm in gemms:
        w, a, o = (parse_format(name) for name in (gemm.w_format, gemm.a_format, gemm.o_format))
        if not pe.data_dependent(w, a):
            continue
        operands = Operands(read_operand_stats(gemm.w_stats), read_operand_stats(gemm.a_stats))
        alone = pe.expected_cycles_per_step(w, a, data=operands.data)
        head = (
            f"{pe.family} {w.name} × {a.name}: cycles depend on data, at worst {pe.cycles_per_step(w, a)} per step, "
            f"expected {alone:.3g} of a PE alone and {{}} of those that wait for one another; "
            f"{pe.data_text(operands.data)}"
        )
        found.setdefault(head, []).append(float(simulated.machine(w, a, o, gemm, operands).shape.interval))
    return tuple(head.format(_range(intervals)) for head, intervals in found.items())


def clock_notes(simulated: Simulated) -> tuple[str, ...]:
    """Return a line per buffer whose SRAM is slower than the clock, and one if sums that stay in PEs are."""
    acc = simulated.accelerator
    memories: list[tuple[str, str, Sram | Cell]] = [(BUFFERS[key], "SRAM", sram) for key, sram in acc.srams.items()]
    memories += [
        (f"levels: {store.name}", "SRAM" if store.is_sram else store.kind.replace("_", " "), store.memory)
        for store in acc.stores
    ]
    buffers = tuple(
        f"memories.{name}: its {kind} takes {sram.cycle_ns:.3g} ns from access to access, the clock's period is "
        f"{acc.period_ns:g} ns, and cycles here take one access per period: more banks, a narrower or smaller buffer, "
        "another device type or a slower clock would do"
        for name, kind, sram in memories
        if sram.cycle_ns > acc.period_ns
    )
    return (*buffers, *_loop_notes(simulated))


def _loop_notes(simulated: Simulated) -> tuple[str, ...]:
    """Return what is assumed of sums that stay in PEs and take several cycles to come back to their adder."""
    acc = simulated.accelerator
    if simulated.dataflow.stationary != "o" or simulated.spec.device is not None:  # no delay is known on fabric
        return ()
    loop = clocking(acc.pe, acc.technology, float(acc.spec.clock))
    if loop.loop_cycles == 1:
        return ()
    return (
        f"pe: at {float(acc.spec.clock) / 1e9:g} GHz a sum of {acc.pe.family} is back at its adder after "
        f"{loop.loop_cycles} cycles, and cycles here take a step in each: {loop.loop_cycles} sums per PE take turns, "
        f"or the clock is at most {loop.loop_hz / 1e9:.3g} GHz",
    )


def issue_notes(simulated: Simulated) -> tuple[str, ...]:
    """Return what is not priced of SIMD cores."""
    issue = simulated.spec.array.issue
    if issue is None:
        return ()
    area = "not given, area and leakage of cores are those of their PEs alone"
    if issue.core_area is not None:
        area = "leakage of what cores have beside their PEs is not counted"
    notes = [f"array.issue.core_area: {area}"]
    if issue.core_energy is None:
        notes.append("array.issue.core_energy: not given, fetch, decode and registers of cores take no energy here")
    return tuple(notes)


def foreign_notes(simulated: Simulated) -> tuple[str, ...]:
    """Return what this architecture counts as another simulator does, or does not price."""
    spec, notes = simulated.spec, []
    if spec.mapper.policy != "search":
        notes.append(f"mapper.policy: {spec.mapper.policy}: tiles and counts by its rule, not by our search")
    if spec.network is not None:
        notes.append("network: the area and the leakage of its routers and wires are not in area_mm2 and the energies")
    if spec.costs.leave_out:
        notes.append(f"costs.leave_out: not priced: {', '.join(spec.costs.leave_out)}")
    return tuple(notes)


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
