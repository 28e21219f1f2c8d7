"""Layers of the simulators of ANT and MixPE: cycles, bits through DRAM and SRAM, energies.

Rows are one layer each, by ``arch_configs/compat/mixpe_sim.yaml`` with a row's array, dataflow and PE. Operands
of a layer have one width; an FP16 array is one of 16-bit PEs that fuse nothing. Shapes are those of inputs
(images, edge, edge, channels) and weights (channels, kernel, kernel, channels); strides, which no column has, are
those of the networks: patches do not overlap, ResNet's stem and every convolution that widens halve the edge.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.explore.score import SCORERS, Bar, Score, Track, untracked
from hwsim.explore.score._tables import not_negative, read_rows
from hwsim.explore.score.bitmod import array_edges
from hwsim.formats import parse_format
from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.cost import Counts, gemm_counts
from hwsim.simulate.evaluate import Result, evaluate
from hwsim.simulate.mapping import map_gemm
from hwsim.simulate.policies.mixpe_sim import ConvGemm
from hwsim.simulate.schedule import moved_bits
from hwsim.spec.data import example_path, read_csv_rows
from hwsim.spec.errors import MissingFigureError, Problem, SpecError, UsageError
from hwsim.workload import Gemm, Trace

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str]
INPUTS = ("case_id", "inp", "w", "iprec", "wprec", "array", "pmax", "pmin", "dataflow")
DRAM = ("rd_dram", "wr_dram")
SRAM = ("rd_wgt", "wr_wgt", "rd_act", "wr_act", "rd_out", "wr_out")
ENERGIES = ("e_static_nJ", "e_dram_nJ", "e_sram_nJ", "e_core_nJ")
#: Largest errors of cycles and of DRAM bits.
LIMIT = 0.05
DATAFLOWS = {"OS": "output_stationary", "WS": "weight_stationary"}
#: Kernels of patches, which do not overlap, and of ResNet's stem.
PATCH, STEM = 16, 7
#: Bits of a brick that PEs are fused of, in a square.
BRICK = 2


class Case(NamedTuple):
    """A row: its name, layer, architecture settings and figures."""

    name: str
    layer: ConvGemm
    settings: Mapping[str, Any]
    figures: Mapping[str, float]


@SCORERS.register("mixpe")
def score(path: Path, track: Track = untracked) -> Score:
    """Compare layers of ANT's and MixPE's simulators with the same search on an architecture of ours.

    Raises
    ------
    SpecError
        If a column is missing or a value makes no sense.
    UsageError
        If the table has no rows.
    """
    import pandas as pd

    cases = _read(path)
    if not cases:
        raise UsageError(f"{path}: nothing to compare; the table has no rows")
    found = [entry for case in track(cases) for entry in _compare(case)]
    frame = pd.DataFrame(found)
    return Score(frame, _bars(frame), list(_unequal(frame)))


def _compare(case: Case) -> Iterator[dict[str, object]]:
    machine = open_arch(example_path("arch_configs", "compat/mixpe_sim"), case.settings)
    result = evaluate(machine, Trace(case.name, (case.layer,)))
    ours = figures(machine, case.layer, result)
    for figure, reference in case.figures.items():
        error = ours[figure] / reference - 1 if reference else float(ours[figure] != 0)
        yield {"case_id": case.name, "figure": figure, "reference": reference, "model": ours[figure], "error": error}


def figures(machine: Simulated, layer: Gemm, result: Result) -> dict[str, float]:
    """Return the figures of a layer by the names of the table; leakage is that of PEs, as there."""
    (row,) = result.layer_rows
    counts = _counts(machine, layer)
    acc = machine.accelerator
    found: dict[str, float] = {
        "cycles": row["cycles"], "stall": row["stall_cycles"],
        "rd_dram": counts.dram_read_bits, "wr_dram": counts.dram_write_bits,
    }  # fmt: skip
    for key, name in {"w": "wgt", "a": "act", "o": "out"}.items():
        found |= {f"rd_{name}": counts.sram_read_bits[key], f"wr_{name}": counts.sram_write_bits[key]}
    period_s = acc.period_ns * 1e-9
    static_nj = row["cycles"] * period_s * acc.dram.background_mw * 1e6
    leakage_nj = row["cycles"] * period_s * acc.pes * acc.pe_price.leakage_nw
    core_nj = (row["energy_pe_pj"] + row["energy_rf_pj"]) * 1e-3 + leakage_nj
    dram_nj = row["energy_dram_pj"] * 1e-3 - static_nj
    energies = (static_nj, dram_nj, row["energy_sram_pj"] * 1e-3, core_nj)
    return found | dict(zip(ENERGIES, energies, strict=True))


def _counts(machine: Simulated, layer: Gemm) -> Counts:
    """Return the bits of a layer, by its schedule: tables of layers have bytes."""
    w, a, o = (parse_format(name) for name in (layer.w_format, layer.a_format, layer.o_format))
    schedule = map_gemm(layer, machine.machine(w, a, o, layer))
    return gemm_counts(schedule, *moved_bits(schedule.body))


def _bars(frame: pd.DataFrame) -> list[Bar]:
    """Return the largest errors of what was asked for, and as statements those of all else."""
    bars = []
    for figure in frame["figure"].unique():
        rows = frame[frame["figure"] == figure]
        limit = LIMIT if figure in ("cycles", *DRAM) else None
        bars.append(Bar(f"{figure}: largest error of {len(rows)}", float(rows["error"].abs().max()), limit))
        if figure not in ENERGIES:
            bars.append(Bar(f"{figure}: not equal", int((rows["error"] != 0).sum()), None))
    return bars


def _unequal(frame: pd.DataFrame) -> Iterator[str]:
    missed = frame[(frame["error"] != 0) & ~frame["figure"].isin(ENERGIES)]
    for row in missed.head(20).to_dict("records"):
        yield f"not equal: {row['case_id']} {row['figure']}: {row['reference']:.12g}, ours {row['model']:.12g}"


def _read(path: Path) -> list[Case]:
    cases, problems = [], []
    for line, row in read_rows(path, (*INPUTS, "cycles", *DRAM)):
        try:
            cases.append(_case(row))
        except KeyError as error:
            problems.append(Problem(str(path), line, 0, "dataflow", f"{error}; valid: OS, WS"))
        except (TypeError, ValueError, SyntaxError) as error:
            problems.append(Problem(str(path), line, 0, "", str(error)))
    if problems:
        raise SpecError(problems)
    return cases


def _case(row: Row) -> Case:
    asked = ("cycles", "stall", *DRAM, *SRAM, *ENERGIES)
    found = {name: not_negative(row, name) for name in asked if row.get(name)}
    return Case(row["case_id"], _layer(row), _settings(row), found)


def _layer(row: Row) -> ConvGemm:
    """Return the layer of a row: convolutions have four sizes, all else two."""
    if row["iprec"] != row["wprec"]:
        raise UsageError(f"operands of {row['iprec']} and {row['wprec']} bits; there both have one width")
    bits, least = int(row["iprec"]), int(row["pmin"])
    if bits < least:
        raise UsageError(f"operands of {bits} bits on PEs of {least} at least; valid: that or more")
    given, weights = (_sizes(row[key]) for key in ("inp", "w"))
    formats: dict[str, Any] = {"w_format": f"int{bits}", "a_format": f"int{bits}", "o_format": "fp16"}
    if len(given) == 2:
        images, inputs = given
        return ConvGemm(row["case_id"], images, weights[0], inputs, images=images, **formats)
    images, edge, _, inputs = given
    outputs, kernel = weights[0], weights[1]
    stride = kernel if kernel == PATCH else 2 if kernel == STEM or outputs > inputs else 1
    out = edge // stride
    formats |= {"images": images, "edge": out, "kernel": kernel, "role": "conv"}
    return ConvGemm(row["case_id"], images * out * out, outputs, kernel**2 * inputs, **formats)


def _sizes(text: str) -> Sequence[int]:
    found = ast.literal_eval(text)
    if not isinstance(found, tuple) or len(found) not in (2, 4) or not all(isinstance(n, int) for n in found):
        raise UsageError(f"{text!r} is no shape; valid: two or four whole numbers in brackets")
    return found


def _settings(row: Row) -> dict[str, Any]:
    rows, cols = array_edges(row["array"])
    most, least = int(row["pmax"]), int(row["pmin"])
    known = {(int(pe["max_bits"]), int(pe["min_bits"])): pe for pe in read_csv_rows("accelerators", "mixpe_pes.csv")}
    if (most, least) not in known:
        valid = ", ".join(f"{a}/{b}" for a, b in sorted(known))
        raise MissingFigureError(f"no PE of {most}/{least} bits in mixpe_pes.csv; valid: {valid}")
    pe = known[most, least]
    clock_hz = 500e6
    stated = {
        "basis": "synthesised", "source": pe["source"], "technology": "28nm",
        "energy_pj": float(pe["dynamic_nw"]) * 1e3 / clock_hz, "leakage_nw": float(pe["leakage_nw"]),
    }  # fmt: skip
    edge = 1 << (most - 1).bit_length()
    built = {
        "family": "bitfusion", "format": f"int{most}", "max_bits": edge, "lanes": (edge // BRICK) ** 2,
        "accumulator": "int48", "figures": stated,
    }  # fmt: skip
    return {"array.rows": rows, "array.cols": cols, "array.dataflow": DATAFLOWS[row["dataflow"]], "pe": built}
