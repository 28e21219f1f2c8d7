"""Zeros, slow bits and held operands: the laws against a gate-level count, and where they enter."""

from __future__ import annotations

import csv
import statistics

import numpy as np
import pytest

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.operand import OperandStats, read_operand_stats, zero_share_of_codes
from hwsim.hardware.pe import make_pe, pairing
from hwsim.hardware.pe.operands import Operands, bit_toggles, data_factors
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import factor, load_technology
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError
from hwsim.workload import Gemm
from hwsim.workload.importers.csv import read_trace

INT8 = parse_format("int8")
STEPS = 64 * 510


def stated(w="", a=""):
    return Operands(read_operand_stats(w), read_operand_stats(a))


def pe_of(label):
    return make_pe(pairing(label).pe_spec)


def factors(w="", a="", label="int8"):
    pe = pe_of(label)
    return data_factors(pe, pe.w_format, pe.a_format, stated(w, a))


# --- a multiplier and an accumulator adder, gate by gate -------------------------------------------


def adder(x, y, bits, nodes):
    """Add two vectors of words gate by gate; every node is noted."""
    carry = np.zeros_like(x)
    for k in range(bits):
        one, other = x >> k & 1, y >> k & 1
        either = one ^ other
        nodes += [either, either ^ carry]
        carry = (one & other) | (either & carry)
        nodes.append(carry)


def settled_toggles(w, a, bits=8, sum_bits=24):
    """Return the toggles per step of all nodes of an array multiplier with its accumulator adder."""
    nodes = []
    total = np.zeros_like(w)
    for i in range(bits):
        row = (w >> i & 1) * a
        nodes += [row >> j & 1 for j in range(bits)]
        if i:
            adder(total >> i, row, bits, nodes)
        total = total + (row << i)
    assert (total == w * a).all()
    held = np.concatenate([[0], np.cumsum(total)[:-1]]) & ((1 << sum_bits) - 1)
    adder(held, total, sum_bits, nodes)
    return sum(int(np.count_nonzero(np.diff(node))) for node in nodes) / (len(w) - 1)


def stream(rng, zeros=0.0, held=1, bits=8):
    """Return words, each held; every non-zero one and zero as often as they should be, to keep noise low."""
    words = STEPS // held
    silent = round(zeros * words)
    values = np.concatenate([np.zeros(silent, dtype=int), np.resize(np.arange(1, 2**bits), words - silent)])
    return np.repeat(rng.permutation(values), held)[: words * held]


@pytest.mark.parametrize(
    ("w", "a"),
    [
        ((0.5, 1), (0.0, 1)), ((0.0, 1), (0.5, 1)), ((0.5, 1), (0.5, 1)), ((0.9, 1), (0.0, 1)), ((0.9, 1), (0.5, 1)),
        ((0.0, 64), (0.5, 1)), ((0.5, 64), (0.5, 1)), ((0.5, 64), (0.0, 1)), ((0.0, 1), (0.5, 64)),
    ],
)  # fmt: skip
def test_zeros_are_what_a_multiplier_counted_gate_by_gate_does_with_them(w, a):
    rng = np.random.default_rng(7)
    same = settled_toggles(stream(rng, 0, w[1]), stream(rng, 0, a[1]))
    counted = settled_toggles(stream(rng, *w), stream(rng, *a)) / same
    said = factors(f"zeros={w[0]} held={w[1]}", f"zeros={a[0]} held={a[1]}").zeros
    # the law is relative to random codes, of which one in 256 is zero on each side
    none = factors(f"zeros=0 held={w[1]}", f"zeros=0 held={a[1]}").zeros
    assert said / none == pytest.approx(counted, rel=0.03)


def test_a_held_weight_is_what_the_multiplier_does_with_it_roughly():
    rng = np.random.default_rng(8)
    counted = settled_toggles(stream(rng, 0, 64), stream(rng)) / settled_toggles(stream(rng), stream(rng))
    assert factors("held=64").toggles == pytest.approx(counted, rel=0.1)  # that of synthesised signed units


@pytest.mark.parametrize(
    ("family", "classes"),
    [("integer_mac", ("int_mac", "int_pe")), ("dot", ("int_dot",)), ("float_mac", ("fp_mac",))],
)
def test_held_weights_are_the_medians_of_synthesised_rows(family, classes):
    ratios = [
        float(row["E_wstat_fJ"]) / float(row["E_gauss_fJ"])
        for row in read_csv_rows("synthesis", "rows.csv")
        if (row["lib"], row["mode"]) == ("asap7", "area") and row["class"] in classes
        if row["E_wstat_fJ"] and row["E_gauss_fJ"]
    ]
    assert factor("held", family) == pytest.approx(statistics.median(ratios), abs=5e-4)


def test_the_measured_hold_gives_the_measured_factor():
    for label, family in (("int8", "integer_mac"), ("fp16", "float_mac")):
        assert factors("held=64", label=label).toggles == pytest.approx(factor("held", family))


def test_random_operands_change_nothing():
    pe, technology = pe_of("int8"), load_technology("28nm")
    assert not stated().stated
    assert pipelined_price(pe, technology, 1e9, operands=stated()) == pipelined_price(pe, technology, 1e9)
    base = zero_share_of_codes(INT8)
    assert base == 1 / 256
    found = factors(f"zeros={base}", "toggle=0.5 held=1")
    for value in vars(found).values():
        assert value == pytest.approx(1)


def test_less_toggling_never_costs_more():
    for words in (
        [f"zeros={z}" for z in (0.01, 0.2, 0.5, 0.9, 1)],
        [f"toggle={t}" for t in (0.5, 0.3, 0.1, 0)],
        [f"held={h}" for h in (1, 2, 8, 64, 1e6)],
    ):
        for side in ("w", "a"):
            found = [factors(**{side: word}) for word in words]
            for name in ("toggles", "zeros", f"{side}_register", "accumulator"):
                values = [getattr(one, name) for one in found]
                assert values == sorted(values, reverse=True), (side, name)


def test_nothing_toggles_where_nothing_changes():
    assert factors("toggle=0", "toggle=0").toggles == 0
    silent = factors("zeros=1")
    assert (silent.zeros, silent.accumulator, silent.w_register) == (0, 0, 0)
    assert factors("held=1e9").w_register == pytest.approx(0, abs=1e-8)
    assert factors("held=1e9").a_register == 1


def test_only_energy_moves_and_every_part_by_its_factor():
    pe, technology = pe_of("int8"), load_technology("28nm")
    operands = stated("zeros=0.3 held=64", "zeros=0.5")
    found = data_factors(pe, INT8, INT8, operands)
    plain, ours = (pipelined_price(pe, technology, 1e9, operands=o)[0] for o in (None, operands))
    assert (ours.area_um2, ours.clock_fj, ours.leakage_nw) == (plain.area_um2, plain.clock_fj, plain.leakage_nw)
    ratios = {
        row.part.role: row.energy_fj / before.energy_fj for row, before in zip(ours.rows, plain.rows, strict=True)
    }
    assert ratios["multiplier"] == pytest.approx(found.toggles * found.zeros)
    assert ratios["accumulator"] == pytest.approx(found.accumulator)
    assert ratios["operands"] == pytest.approx((found.w_register + found.a_register) / 2)
    assert ratios["pipeline stage"] == pytest.approx(found.zeros)


def test_ternary_zeros_are_told_from_those_of_random_codes():
    pe = pe_of("ternary")
    base = zero_share_of_codes(pe.w_format)
    assert 0.2 < base < 0.6
    more = data_factors(pe, pe.w_format, pe.a_format, stated(f"zeros={base + 0.2}"))
    assert more.zeros < 1
    assert bit_toggles(OperandStats(zeros=base), pe.w_format) == pytest.approx(1)


def test_what_nobody_measured_is_missing_by_name():
    with pytest.raises(MissingFigureError, match="no held factor for 'lut'"):
        factors("held=64", label="lut_w2a8")
    assert factors("zeros=0.9", label="lut_w2a8").zeros < 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zeroes=0.5", "did you mean 'zeros'"), ("zeros=2", "valid: 0 to 1"), ("zeros=nan", "valid: 0 to 1"),
        ("held=0.5", "steps from 1"), ("held=inf", "steps from 1"), ("zeros=half", "is no number"),
        ("zeros=0.1 zeros=0.2", "stands twice"), ("zeros=0.1 toggle=0.2", "give one of them"), ("toggle=-1", "0 to 1"),
        ("laplacian", "did you mean 'laplace'"), ("laplace gaussian", "two distributions"),
    ],
)  # fmt: skip
def test_malformed_statistics_are_refused_everywhere(text, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        read_operand_stats(text)
    with pytest.raises(UsageError, match=said):
        Gemm("g", 1, 1, 1, w_stats=text)
    path = tmp_path / "trace.csv"
    path.write_text(f"layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,a_stats\ng,gemm,1,1,1,1,1,,,,{text}\n")
    with pytest.raises(UsageError, match=r"(?s)trace.csv:2:21.*" + said):
        read_trace(path)


def test_a_name_states_no_figure():
    assert read_operand_stats("laplace") == OperandStats(distribution="laplace")
    assert not read_operand_stats("laplace").stated
    assert read_operand_stats("laplace zeros=0.5") == OperandStats(zeros=0.5, distribution="laplace")
    assert read_operand_stats("") == OperandStats()


TRACE = """layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,w_stats,a_stats
random,gemm,64,64,64,1,1,,,,,
named,gemm,64,64,64,1,1,,,,gaussian,
held,gemm,64,64,64,1,1,,,,held=64,
sparse,gemm,64,64,64,1,1,,,,held=64,zeros=0.5
"""


def test_a_run_takes_the_statistics_of_its_trace(tmp_path, capsys):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    assert run_command(["run", "edge_16x16_45nm", str(path), "--format", "csv"]) == 0
    rows = {row["layer"]: row for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    energy = {name: float(row["energy_pe_pj"]) for name, row in rows.items()}
    assert energy["random"] == energy["named"]
    assert energy["held"] == pytest.approx(energy["random"] * factor("held", "integer_mac"))
    assert energy["sparse"] < 0.8 * energy["held"]
    assert float(rows["sparse"]["energy_rf_pj"]) < float(rows["held"]["energy_rf_pj"])
    assert len({(row["cycles"], row["energy_dram_pj"], row["energy_leakage_pj"]) for row in rows.values()}) == 1
    assert run_command(["run", "edge_16x16_45nm", str(path)]) == 0
    assert "random unless the trace states w_stats" in capsys.readouterr().out


def test_explain_prints_every_factor(capsys):
    assert run_command(["explain", "pe", "int8"]) == 0
    assert "operands: random" in capsys.readouterr().out
    assert run_command(["explain", "pe", "int8", "--w-stats", "zeros=0.3 held=64", "--a-stats", "toggle=0.2"]) == 0
    out = capsys.readouterr().out
    for words in ("glitch factor", "data factor", "toggles 0.", "zeros 0.", "weights 30% zeros, held for 64 steps",
                  "activations 20% of the bits change", "weight registers and wires"):  # fmt: skip
        assert words in out
    assert run_command(["explain", "pe", "int8", "--w-stats", "gaussian"]) == 2
    assert "has no figure" in capsys.readouterr().err
    assert run_command(["explain", "pe", "lut_w2a8", "--w-stats", "held=8"]) == 2
    assert "no held factor for 'lut'" in capsys.readouterr().err
