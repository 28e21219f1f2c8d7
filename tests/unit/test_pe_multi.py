"""PEs of several formats: bounds on area and energy, one mode at a time, the simulator around them."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.main import run_command
from hwsim.explore.labels import value_text
from hwsim.formats import parse_format
from hwsim.hardware.circuits import Adder, Comparator, Multiplier, Mux, Part, Popcount, Register, Subtractor
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.pe.sharing import merged, shared_slots, slowest, working_parts
from hwsim.hardware.technology import factor, load_technology, technology_names
from hwsim.simulate.architecture import open_arch
from hwsim.spec.errors import SpecError, UsageError

LABELS = [
    "fp16+int8", "fp16+fp8_e4m3", "int8+int4", "fp32+int4", "fp16+int8+mxfp4", "bitmod4_g128+fp16",
    "lut_w2a8+int8", "lmul_bf16+fp16", "w4a8_g128+fp16", "mxfp4_dot32+int8", "ternary+bf16", "posit8_es1+int8+fp16",
]  # fmt: skip
TWO_LANES = {"family": "multi", "modes": ["fp16", {"family": "int_mac", "format": "int8", "lanes": 2}]}


def multi(label, **options):
    return make_pe({**pairing(label).pe_spec, **options})


def built(mode):
    return mode.w_format, mode.a_format


def selection(price):
    return sum(row.area_um2 for row in price.rows if row.part.role.startswith("select "))


def codes(fmt, n, seed=0):
    element = fmt.element
    rng = np.random.default_rng(seed)
    if element.bits > 16:
        return element.encode(rng.standard_normal(n))
    values = element.code_values()
    return rng.choice(np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e4)), n).astype(np.uint32)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", technology_names())
def test_area_lies_between_the_largest_mode_and_all_of_them(label, name):
    pe, technology = multi(label), load_technology(name)
    price, alone = price_pe(pe, technology), [price_pe(mode, technology).area_um2 for mode in pe.modes]
    assert max(alone) <= price.area_um2 - selection(price) <= sum(alone)
    # multiplexers are only where they save more than they take; libraries differ from the deciding one by little
    assert price.area_um2 <= sum(alone) * 1.01


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("clock", [2e8, 6e8, 1e9])
def test_at_a_clock_no_mode_is_cheaper_than_a_pe_of_its_own(label, clock):
    pe, technology = multi(label), load_technology("28nm")
    for mode in pe.modes:
        inside, stages = pipelined_price(pe, technology, clock, *built(mode))
        alone, own = pipelined_price(mode, technology, clock)
        assert stages >= own
        assert inside.area_um2 >= alone.area_um2
        assert inside.energy_fj >= alone.energy_fj
        assert inside.clock_fj >= alone.clock_fj
        assert inside.glitch_factor == alone.glitch_factor


@pytest.mark.parametrize("label", ["fp16+int8+mxfp4", "fp16+int8", "w4a8_g128+fp16"])
def test_a_further_mode_never_costs_less(label):
    pe, technology = multi(label), load_technology("28nm")
    wider = multi(label + "+posit8_es1")
    assert price_pe(wider, technology).area_um2 > price_pe(pe, technology).area_um2
    for mode in pe.modes:
        few, more = (pipelined_price(one, technology, 5e8, *built(mode))[0].energy_fj for one in (pe, wider))
        assert more >= few


def test_the_area_is_one_and_the_energy_that_of_the_pair():
    pe, technology = multi("fp16+int8"), load_technology("28nm")
    fp16, int8 = (pipelined_price(pe, technology, 1e9, *built(mode))[0] for mode in pe.modes)
    assert fp16.area_um2 == int8.area_um2
    assert fp16.delay_ps == int8.delay_ps
    assert int8.energy_fj < fp16.energy_fj
    assert int8.clock_fj < fp16.clock_fj
    assert pipelined_price(pe, technology, 1e9)[0].energy_fj == fp16.energy_fj


def test_the_order_of_modes_moves_the_area_by_little():
    technology, labels = load_technology("28nm"), ("fp16", "int8", "mxfp4")
    areas = [price_pe(multi("+".join(order)), technology).area_um2 for order in permutations(labels)]
    assert max(areas) <= 1.05 * min(areas)


def test_the_idle_share_is_what_idle_parts_take():
    technology = load_technology("28nm")

    def energy(share):
        pe = multi("fp16+int8", idle_share=share)
        price = price_parts(pe, technology, *built(pe.modes[1]))
        return price.energy_fj, price.clock_fj

    none, half, full = energy(0), energy(0.5), energy(1)
    for low, middle, high in zip(none, half, full, strict=True):
        assert low <= high
        assert middle == pytest.approx((low + high) / 2)
    assert none[0] < half[0] < full[0]
    # with nothing gated, as much toggles as there is area for: all parts at their activity at work
    everything = multi("fp16+int8", idle_share=1)
    assert all(part.clocked == 1 for part in everything.parts())
    assert multi("fp16+int8").idle_share == factor("idle", "multi")


def price_parts(pe, technology, w, a):
    return technology.price_parts(pe.parts(w, a), pe.mode(w, a).glitch_family)


def test_unused_parts_idle_and_used_ones_work():
    pe = multi("fp16+int8", idle_share=0.25)
    parts = {part.role: part for part in pe.parts(*built(pe.modes[1]))}
    assert parts["normalise"].activity == pytest.approx(0.25 * factor("activity", "float_accumulate"))
    assert parts["accumulator"].activity == parts["accumulator"].clocked == 1
    # 16 of 32 operand bits: half works, half idles
    assert parts["operands"].clocked == pytest.approx(0.5 + 0.25 * 0.5)
    shared = parts["significand multiplier / multiplier"]
    assert shared.circuit == Multiplier(11, 11, signed=True)
    assert 0.25 < shared.activity < 1


@pytest.mark.parametrize("label", LABELS)
def test_every_mode_gives_the_very_sums_of_its_pe(label):
    pe = multi(label)
    for mode in pe.modes:
        w, a = built(mode)
        assert pe.mode(w, a) is mode
        assert pe.supports(w, a) is None
        assert pe.macs_per_cycle(w, a) == mode.macs_per_cycle(w, a)
        assert pe.scaling(w, a) == mode.scaling(w, a)
        for n in (1, 7, 64):
            few = codes(w, n), codes(a, n, 1)
            assert pe.dot(*few, w, a) == mode.dot(*few, w, a)


def test_scales_reach_the_mode():
    pe = multi("mxfp4_dot32+int8")
    w, a = built(pe.modes[0])
    few, scales = (codes(w, 64), codes(a, 64, 1)), np.repeat([0.5, 4.0], 32)
    assert pe.dot(*few, w, a, scales) == pe.modes[0].dot(*few, w, a, scales)
    assert pe.dot(*few, w, a, scales) != pe.dot(*few, w, a)


def test_lanes_of_modes_are_cycles_of_a_step():
    pe = make_pe(TWO_LANES)
    (fp16, _), (int8, _) = (built(mode) for mode in pe.modes)
    assert pe.lanes == 2
    assert (pe.cycles_per_step(fp16, fp16), pe.cycles_per_step(int8, int8)) == (2, 1)
    assert (pe.macs_per_cycle(fp16, fp16), pe.macs_per_cycle(int8, int8)) == (1, 2)
    wide = replace(pe, lanes=4)
    assert [mode.lanes for mode in wide.modes] == [2, 4]
    with pytest.raises(ValueError, match="no multiple of 2"):
        replace(pe, lanes=3)


def test_a_pair_runs_on_the_mode_that_is_built_for_it_else_on_the_fastest():
    pe = make_pe({"family": "multi", "modes": ["fp16", {"family": "int_mac", "format": "int8", "lanes": 2}, "int4"]})
    fp8, int4, int3 = (parse_format(name) for name in ("fp8_e4m3", "int4", "int3"))
    assert pe.mode(fp8, fp8) is pe.modes[0]
    assert pe.mode(int4, int4) is pe.modes[2]
    assert pe.mode(int3, int3) is pe.modes[1]
    fp32 = parse_format("fp32")
    assert "int_mac int8: int_mac takes integers only" in str(pe.supports(fp32, fp32))
    with pytest.raises(UsageError, match="cannot compute fp32 × fp32"):
        pe.mode(fp32, fp32)


def test_sums_of_two_modes_do_not_mix():
    pe = multi("fp16+int8")
    fp16, int8 = (mode.w_format for mode in pe.modes)
    acc = pe.accumulate(pe.initial((2,)), codes(fp16, (2, 1)), codes(fp16, (2, 1)), fp16, fp16)
    with pytest.raises(ValueError, match="a sum of another mode"):
        pe.accumulate(acc, codes(int8, (2, 1)), codes(int8, (2, 1)), int8, int8)
    both = pe.initial((2,))
    both[:1] = acc[:1]
    both[1:] = pe.accumulate(pe.initial((1,)), codes(int8, (1, 1)), codes(int8, (1, 1)), int8, int8)
    assert pe.finish(both)[0] == pe.finish(acc)[0]
    assert pe.finish(both)[1] == pe.finish(both[1:])[0] != 0


def test_sums_are_as_wide_as_their_mode_makes_them():
    pe = make_pe(
        {"family": "multi", "modes": ["fp32", {"family": "int_mac", "format": "int4", "accumulator": "int16"}]}
    )
    assert pe.psum_bits == 32
    assert [pe.mode(*built(mode)).psum_bits for mode in pe.modes] == [32, 16]
    simulated = open_arch("arch_configs/systolic_32x32_28nm.yaml", {"pe": {"family": "multi", "modes": [
        "fp32", {"family": "int_mac", "format": "int4", "accumulator": "int16"}]}})  # fmt: skip
    fp32, int4 = parse_format("fp32"), parse_format("int4")
    bits = [simulated.machine(f, f, f).bits for f in (fp32, int4)]
    assert [b.psum // b.denominator for b in bits] == [32, 16]


def test_one_dequantizer_serves_all_modes():
    pe, technology = multi("w4a8_g128+fp16+int8"), load_technology("28nm")
    w, a = built(pe.modes[0])
    assert pe.dequant_parts(w, a) == pe.modes[0].dequant_parts(w, a)
    assert dequantizer_price(pe, w, a, technology, 5e8).area_um2 > 0
    both = multi("w4a8_g128+bitmod4_g128")
    prices = [dequantizer_price(both, *built(mode), technology, 5e8).area_um2 for mode in both.modes]
    alone = [dequantizer_price(mode, *built(mode), technology, 5e8).area_um2 for mode in both.modes]
    assert prices == [max(alone)] * 2
    assert both.own_dequantizer


def test_circuits_of_a_kind_are_built_as_wide_as_the_widest():
    assert merged(Multiplier(4, 24), Multiplier(8, 8)) == Multiplier(24, 8)
    assert merged(Adder(32), Subtractor(27)) == merged(Subtractor(27), Adder(32)) == Subtractor(32)
    assert merged(Mux(8, 2), Mux(4, 4)) == Mux(8, 4)
    assert merged(Adder(4), Comparator(4)) is None
    assert merged(Popcount(8), Popcount(8)) is None


def test_only_as_many_copies_are_shared_as_both_have():
    one = (Part("big", "multiplier", Multiplier(24, 24)),)
    eight = (Part("small", "multiplier", Multiplier(4, 4), 8),)
    for bills in ((one, eight), (eight, one)):
        slots = shared_slots(bills)
        assert {(s.circuit, s.count) for s in slots} == {(Multiplier(24, 24), 1), (Multiplier(4, 4), 7)}
        assert sum(s.select_bits for s in slots) == 8
    # a thin and a tall multiplier make one that is larger than both
    assert (
        len(shared_slots(((Part("a", "multiplier", Multiplier(24, 2)),), (Part("b", "multiplier", Multiplier(8, 8)),))))
        == 2
    )


def test_the_path_is_that_of_the_slowest_mode_through_its_multiplexers():
    bills = (
        (Part("adder", "accumulator", Adder(8)), Part("register", "register", Register(8))),
        (Part("adder", "accumulator", Adder(24)), Part("extra", "multiplier", Multiplier(4, 4))),
    )
    slots = shared_slots(bills)
    assert slowest(slots, 2) == 1
    parts = {part.role: part for part in working_parts(slots, 0, 1, 0.1)}
    assert parts["adder"].circuit == Adder(24)
    assert parts["extra"].on_path
    assert not parts["register"].on_path
    assert parts["extra"].activity == 0.1


widths = st.integers(1, 24)
circuits = st.one_of(
    st.builds(Multiplier, widths, widths), st.builds(Adder, widths), st.builds(Subtractor, widths),
    st.builds(Register, widths), st.builds(Mux, widths, st.integers(2, 5)), st.builds(Popcount, st.integers(2, 24)),
)  # fmt: skip
some_parts = st.builds(
    lambda role, group, circuit, count, on_path: Part(role, group, circuit, count, on_path=on_path, in_series=count),
    st.sampled_from(["accumulator", "operands", "add", "x"]), st.sampled_from(["register", "accumulator", "multiplier"]),
    circuits, st.integers(1, 5), st.booleans(),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.lists(some_parts, min_size=1, max_size=6).map(tuple), min_size=2, max_size=4))
def test_any_bills_share_without_loss(bills):
    technology = load_technology("7nm")  # the one that decides

    def area(parts):
        return sum(technology.price(part.circuit).area_um2 * part.count for part in parts)

    def plain_path(parts):
        return sum(part.circuit.levels() * part.in_series for part in parts if part.on_path)

    slots = shared_slots(tuple(bills))
    path = slowest(slots, len(bills))
    built = [working_parts(slots, mode, path, 0.1) for mode in range(len(bills))]
    assert len({area(parts) for parts in built}) == 1
    assert max(map(area, bills)) <= area(built[0]) * (1 + 1e-9)
    assert area(built[0]) <= sum(map(area, bills)) * (1 + 1e-9)
    # Carries may overlap in the union that do not overlap in a mode, so that paths are compared without.
    assert plain_path(built[0]) >= max(map(plain_path, bills)) * (1 - 1e-9)
    for mode, (bill, parts) in enumerate(zip(bills, built, strict=True)):
        alone, inside = (technology.price_parts(one, "integer_mac") for one in (bill, parts))
        assert inside.energy_fj >= alone.energy_fj * (1 - 1e-9)
        assert inside.clock_fj >= alone.clock_fj * (1 - 1e-9)
        used = [(use.role, slot.count) for slot in slots for use in slot.uses if use.mode == mode]
        for role in {part.role for part in bill}:
            assert sum(n for r, n in used if r == role) == sum(part.count for part in bill if part.role == role)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"modes": ["fp16"]}, "list of 2 to 8 PEs"),
        ({"modes": "fp16"}, "list of 2 to 8 PEs"),
        ({"modes": ["fp16", "in8"]}, r"pe.modes\[1\].*did you mean 'int8'"),
        ({"modes": ["fp16", {"family": "int_mak", "format": "int8"}]}, r"pe.modes\[1\].*did you mean 'int_mac'"),
        ({"modes": ["fp16", {"family": "float_mac", "format": "fp16", "accumulator": "fp16"}]}, "one pair of formats"),
        ({"modes": ["fp16", {"family": "multi"}]}, "no mode of another"),
        ({"idle_share": 1.5}, "from 0 to 1"),
        ({"idle_share": "little"}, "from 0 to 1"),
        ({"idle_shar": 0.1}, "did you mean 'idle_share'"),
        ({**TWO_LANES, "lanes": 3}, "no multiple of the 2"),
        ({"lanes": 0}, "whole number from 1"),
    ],
)
def test_what_is_no_multi_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        make_pe({"family": "multi", **options})


def test_figures_of_the_whole_are_taken_and_those_of_modes_refused():
    figures = {"basis": "published", "source": "paper", "technology": "28nm", "area_um2": 2000}
    price = pipelined_price(multi("fp16+int8", figures=figures), load_technology("28nm"), 1e9)[0]
    assert price.area_um2 == pytest.approx(2000)
    with pytest.raises(UsageError, match="energy_pj: multi has one per mode"):
        multi("fp16+int8", figures={**figures, "energy_pj": 1})
    mode = {"family": "int_mac", "format": "int8", "figures": figures}
    with pytest.raises(UsageError, match=r"modes\[1\].figures"):
        make_pe({"family": "multi", "modes": ["fp16", mode]})


TRACE = """layer,op,m,n,k,batch,repeat,w_format,a_format,o_format
one,gemm,9,20,33,1,1,fp16,fp16,fp16
two,gemm,9,20,33,1,1,int8,int8,int8
"""


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return str(path)


def run(capsys, *arguments):
    assert run_command([*arguments, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return pd.DataFrame([line.split(",") for line in lines[1:]], columns=lines[0].split(","))


def test_a_run_takes_each_layer_in_its_mode(trace, capsys):
    settings = ["--set", "array.rows=4", "--set", "array.cols=4", "--set", "pe={family: multi, modes: [fp16, "
                "{family: int_mac, format: int8, lanes: 2}]}"]  # fmt: skip
    fast = run(capsys, "run", "systolic_32x32_28nm", trace, *settings)
    stepped = run(capsys, "run", "systolic_32x32_28nm", trace, *settings, "--engine", "pe")
    assert fast["cycles"].tolist() == stepped["cycles"].tolist()
    cycles, energy = fast["compute_cycles"].astype(int), fast["energy_pe_pj"].astype(float)
    assert cycles[1] < cycles[0]
    assert energy[1] < energy[0]


def test_an_array_of_them_costs_more_than_one_of_either(trace, capsys):
    def design(pe):
        simulated = open_arch("arch_configs/systolic_32x32_28nm.yaml", {"pe": pe})
        return simulated.accelerator, simulated

    both, simulated = design({"family": "multi", "modes": ["fp16", "int8"]})
    for label in ("fp16", "int8"):
        fmt = parse_format(label)
        alone, other = design(dict(pairing(label).pe_spec))
        assert both.area_mm2 > alone.area_mm2
        unit, own = simulated.unit_costs(fmt, fmt), other.unit_costs(fmt, fmt)
        assert unit.pe_pj_per_step > own.pe_pj_per_step
        assert unit.array_clock_pj_per_cycle >= own.array_clock_pj_per_cycle
        assert both.peak_macs_per_s(fmt, fmt) == alone.peak_macs_per_s(fmt, fmt)
    with pytest.raises((SpecError, UsageError), match="cannot compute"):
        simulated.machine(parse_format("fp32"), parse_format("fp32"), parse_format("fp32"))


def test_a_sweep_over_pes_names_them_by_their_modes(trace, tmp_path, capsys):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(f"""
name: modes
base: {Path("arch_configs/systolic_32x32_28nm.yaml").resolve()}
workloads: [{{trace: {trace}}}]
grid:
  pe: [{{family: multi, modes: [fp16, int8]}}, {{family: multi, modes: [bf16, fp16, int8]}}]
objectives: {{energy_mj: min, area_mm2: min}}
""")
    assert run_command(["sweep", str(sweep), "-o", str(tmp_path / "out")]) == 0
    designs = pd.read_csv(tmp_path / "out" / "designs.csv")
    assert (designs["status"] == "ok").all()
    assert designs["area_mm2"].is_monotonic_increasing
    assert value_text({"family": "multi", "modes": ["fp16", {"family": "int_mac", "format": "int8"}]}) == (
        "multi fp16+int_mac int8"
    )
