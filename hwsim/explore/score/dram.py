"""DRAM: bandwidth, latency and energy against runs of Ramulator 2.1 or of DRAMsim3, told apart by the header.

Ramulator's rows are streams over all banks, reads and writes drawn at random, and the latency of a lone
random read; the closed form answers them. DRAMsim3's are patterns of one channel; banks behind its
controller answer them, command by command, and the closed form beside these, as a statement.

What the tables leave unsaid is taken from the public sources of both: a stream takes banks in turn
before columns; Ramulator's queues hold 32 requests, 64 in its test cases of HBM and GDDR7, and drain
writes from 80 to 20 %; DRAMsim3 holds 32 requests and 8 commands per bank, caps row hits at 4, and takes
banks in turn. A copy reads 32 bursts from one half of the memory and writes them to the other; a tile's
rows lie 8 KiB apart; a row stride is that of the columns that the file states, half a row of HBM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._tables import RefusedError, compared, positive, read_form, refusals
from hwsim.hardware.memory.dram import (
    QUEUED,
    SEQUENTIAL,
    Access,
    BankModel,
    Controller,
    Preset,
    by_reference,
    effective,
    run_energy_pj,
    unloaded_latency_ns,
)
from hwsim.spec.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
RAMULATOR = ("standard", "org", "timing", "pattern", "read_pct", "refresh", "measured_GBps")
DRAMSIM3 = ("config", "address_mapping", "pattern", "achieved_GBps")
#: A stream's next burst is in the next bank, group by group.
STREAM_MAP = "rochcopsrababg"
#: Standards whose queues hold 64 requests in Ramulator's test cases.
DEEP = ("HBM", "GDDR7")
#: Largest errors.
STREAM, MIXED, LATENCY, CHANNEL = 0.01, 0.10, 0.10, 0.10
#: Cycles of a run at most: as long as the runs of the rows, as strides take their time to settle.
LONGEST = 100_000
BLOCK = 32
TILE_PITCH = 8192
COPY, ROW_STRIDE = "copy_r1w1_blk32", "stride_row"
TILES = {"tile_row_256B": 256, "tile_row_1KB": 1024}
PATTERNS = ("seq_read", "seq_write", COPY, ROW_STRIDE, "random_read", *TILES)


@SCORERS.register("dram")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare a table of either form with our model; rows of which there is no preset are named in the notes.

    Raises
    ------
    SpecError
        If the header is of neither form, or a figure is no positive number.
    UsageError
        If no row can be compared.
    """
    import pandas as pd

    form, rows = read_form(path, {name: columns for name, (columns, _) in FORMS.items()})
    refused = Counter[str]()
    frame = pd.DataFrame(compared(path, track(rows), FORMS[form][1], refused))
    return Score(frame, _bars(frame), refusals(refused))


def _ramulator(row: Row) -> Iterator[dict[str, object]]:
    name = f"{row['org']}/{row['timing']}"
    preset = _preset("ramulator", name)
    reference = positive(row, "measured_GBps")
    what = {"preset": preset.name, "run": f"{row['standard']} {name}", "pattern": row["pattern"]}
    if row["pattern"] == "unloaded_random_read_latency_ns":
        yield _entry(what, "latency_ns", reference, unloaded_latency_ns(preset), "closed form")
        return
    if row["pattern"] != "stream":
        raise RefusedError(
            f"{name}: unknown pattern {row['pattern']!r}; valid: stream, unloaded_random_read_latency_ns"
        )
    depth = 64 if row["standard"].startswith(DEEP) else 32
    reads = float(row["read_pct"]) / 100
    found = effective(preset, Access(read_share=reads), STREAM_MAP, Controller(depth, depth), row["refresh"] == "1")
    ours = found.bandwidth_gb_s / preset.timed[0].channels
    kind = "stream" if reads in (0, 1) else "mixed"
    what["pattern"] = f"{row['pattern']}, {row['read_pct']} % reads, refresh {'on' if row['refresh'] == '1' else 'off'}"
    yield _entry(what, f"{kind}_gb_s", reference, ours, "closed form")


def _dramsim3(row: Row) -> Iterator[dict[str, object]]:
    preset = _preset("dramsim3", row["config"])
    pattern, mapping = row["pattern"], row["address_mapping"]
    if pattern not in PATTERNS:
        raise RefusedError(f"{row['config']}: unknown pattern {pattern!r}; {did_you_mean(pattern, PATTERNS)}")
    o, t = preset.timed
    if row.get("req_bytes") and int(row["req_bytes"]) != o.burst_bytes:
        raise RefusedError(f"{row['config']}: requests of {row['req_bytes']} B; the preset's are of {o.burst_bytes} B")
    reference = positive(row, "achieved_GBps")
    what = {"preset": preset.name, "run": f"{row['config']} {mapping}", "pattern": pattern}
    cycles = min(int(row.get("cycles") or LONGEST), LONGEST)
    addresses, writes = places(preset, pattern, cycles // t.column + BLOCK)
    run = BankModel(preset, mapping, QUEUED).run(addresses, writes, max_cycles=cycles)
    yield _entry(what, "bandwidth_gb_s", reference, run.bandwidth_gb_s, "bank model")
    if preset.currents is not None and row.get("pJ_per_bit_core"):
        counts = (run.activates, run.reads, run.writes, run.refreshes, run.cycles, run.open_share)
        bits = (run.reads + run.writes) * o.burst_bytes * 8
        ours = run_energy_pj(preset, *counts) / bits
        yield _entry(what, "pj_per_bit", positive(row, "pJ_per_bit_core"), ours, "bank model")
    closed = effective(preset, access(preset, pattern), mapping, QUEUED)
    yield _entry(what, "bandwidth_gb_s", reference, closed.bandwidth_gb_s, "closed form")


def access(preset: Preset, pattern: str) -> Access:
    """Return what a pattern of DRAMsim3's runs is to the closed form."""
    o, _ = preset.timed
    if pattern in ("seq_read", "seq_write"):
        return Access(read_share=1.0 if pattern == "seq_read" else 0.0)
    if pattern == COPY:
        return Access(read_share=0.5, apart=True)
    if pattern == ROW_STRIDE:
        return Access("strided", o.burst_bytes, _row_stride(preset))
    if pattern == "random_read":
        return Access("random", o.burst_bytes)
    return Access("tiles", TILES[pattern], TILE_PITCH) if pattern in TILES else SEQUENTIAL


def places(preset: Preset, pattern: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the addresses of a pattern, a burst each, and which of them write."""
    o, _ = preset.timed
    size, index = o.burst_bytes, np.arange(count)
    capacity = o.rows * o.row_bytes * o.banks * o.ranks
    writes = np.full(count, pattern == "seq_write")
    if pattern == COPY:
        block, offset = index // BLOCK, index % BLOCK
        writes = block % 2 == 1
        return (block // 2 * BLOCK + offset) * size + writes * (capacity // 2), writes
    if pattern == ROW_STRIDE:
        return index * _row_stride(preset), writes
    if pattern == "random_read":
        return np.random.default_rng(0).integers(0, capacity // size, count) * size, writes
    if pattern in TILES:
        bursts = max(TILES[pattern] // size, 1)
        return index // bursts * TILE_PITCH + index % bursts * size, writes
    return index * size, writes


def _row_stride(preset: Preset) -> int:
    row = preset.timed[0].row_bytes
    return row // 2 if preset.standard.startswith("HBM") else row


def _preset(simulator: str, name: str) -> Preset:
    known = by_reference(simulator)
    if name not in known:
        raise RefusedError(f"no preset of {name}; {did_you_mean(name, known)}")
    return known[name]


def _entry(what: Mapping[str, str], figure: str, reference: float, ours: float, by: str) -> dict[str, object]:
    return {**what, "figure": figure, "reference": reference, "model": ours, "error": ours / reference - 1,
            "answered_by": by}  # fmt: skip


def _bars(frame: pd.DataFrame) -> list[Bar]:
    """Return the bars of the figures that the table has."""
    asked = (
        ("stream_gb_s", "closed form", "read streams", STREAM),
        ("mixed_gb_s", "closed form", "mixed streams", MIXED),
        ("latency_ns", "closed form", "unloaded random read latency", LATENCY),
        ("bandwidth_gb_s", "bank model", "patterns by address map", CHANNEL),
        ("pj_per_bit", "bank model", "energy per bit", None),
        ("bandwidth_gb_s", "closed form", "patterns by address map", None),
    )
    bars = []
    for figure, by, name, limit in asked:
        size = frame.loc[(frame["figure"] == figure) & (frame["answered_by"] == by), "error"].abs()
        if not size.empty:
            bars.append(Bar(f"{name}, {by}: largest error", float(size.max()), limit))
            bars.append(Bar(f"{name}, {by}: median error", float(size.median()), None))
    return bars


#: Columns of each form, and what compares its rows.
FORMS: dict[str, tuple[tuple[str, ...], Callable[[Row], Iterator[dict[str, object]]]]] = {
    "Ramulator": (RAMULATOR, _ramulator),
    "DRAMsim3": (DRAMSIM3, _dramsim3),
}
