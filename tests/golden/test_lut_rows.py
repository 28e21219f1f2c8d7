"""Lookup-table PEs against synthesis of their parts and against LUT Tensor Core (arXiv 2408.06003)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, price_pe
from hwsim.hardware.technology import load_technology
from hwsim.hardware.technology.operations import operation_parts

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "data" / "synthesis_lut_asap7.csv").open()))
READER = ("lookup", "accumulator adder", "load partial sum", "accumulator")


def made(w="int2", a="int8", **options):
    return make_pe({"family": "lut", "w_format": w, "a_format": a, **options})


def total(parts, figure="area_um2", tech="7nm"):
    price = load_technology(tech).price_parts(list(parts), "lut", "uniform")
    return sum(getattr(row, figure) for row in price.rows)


def unit(row):
    """The parts that a synthesised unit has: one reader with its accumulator, or one generator."""
    p, kind = json.loads(row["params"]), row["class"]
    same = {"w": "uint1", "a": f"int{p['n']}", "k": p["g"], "tile_n": 1}
    if kind == "lut_gen":
        return [q for q in made(**same, precompute="array").parts() if q.role == "table generator"]
    pe = made(**same, variant="lut_tensor_core" if kind == "lut_sym" else "conventional", accumulator="int24")
    roles = (*READER, "negate") if kind == "lut_sym" else READER
    assert pe.entry_bits == p["e"]
    assert pe.table_words(p["g"]) == p["T"]
    return [q for q in pe.parts() if q.role in roles]


@pytest.mark.parametrize("row", ROWS, ids=[r["name"] for r in ROWS])
def test_area_of_synthesised_units(row):
    # Readers within the fit's 90th percentile. Generators: sums and differences of one pair share gates
    # that the cost law counts twice; the smallest (g = 3) shares most.
    tolerance = 0.15 if row["class"] != "lut_gen" else 0.30
    assert total(unit(row)) == pytest.approx(float(row["area_um2"]), rel=tolerance)


@pytest.mark.parametrize("row", [r for r in ROWS if r["class"] != "lut_gen"], ids=lambda r: r["name"])
def test_settled_energy_of_synthesised_readers(row):
    price = load_technology("7nm")
    parts = unit(row)
    found = sum((p := price.price(q.circuit)).energy_fj + p.clock_fj for q in parts)
    # One energy density for all logic; multiplexers of mostly still inputs switch less.
    assert found == pytest.approx(float(row["E_rand_noglitch_fJ"]), rel=0.30)


def test_symmetry_saves_what_synthesis_says():
    area = {r["name"]: float(r["area_um2"]) for r in ROWS}
    ours = {r["name"]: total(unit(r)) for r in ROWS}
    published = 1 - area["lut_sym_g4_n8"] / area["lut_full_g4_n8"]  # 19 %
    assert 1 - ours["lut_sym_g4_n8"] / ours["lut_full_g4_n8"] == pytest.approx(published, abs=0.05)


# Peak TOPS, tensor-core area per SM in mm², SMs, printed TOPS/mm² (Table 1); None: the print is off by 4.5 %.
DENSITIES = [
    ("A100 FP16", 312, 0.975, 108, 2.96), ("A100 INT8", 624, 0.312, 108, None), ("A100-LUT-4X", 1248, 0.187, 108, 61.84),
    ("A100-LUT-8X", 2496, 0.373, 108, 61.95), ("H100 FP8", 1525, 0.918, 132, 12.59),
    ("H100-LUT-4X", 1525, 0.488, 132, 23.69), ("H100-LUT-8X", 3049, 0.909, 132, 25.40),
]  # fmt: skip


@pytest.mark.parametrize(("name", "peak", "area", "sms", "printed"), DENSITIES)
def test_printed_densities_are_peak_over_area(name, peak, area, sms, printed):
    density = peak / (sms * area)
    if printed is not None:
        assert density == pytest.approx(printed, rel=0.002)  # three printed digits of the area
    else:
        assert density == pytest.approx(18.52, abs=0.005)  # 17.73 is printed


def test_a_peak_follows_from_the_tile_and_its_cycles():
    pe = made("int2", "int8")
    per_pe = 2 * pe.macs_per_cycle(pe.w_format, pe.a_format)
    assert pe.tile_m * pe.tile_n * pe.lanes == 512
    # 16 arrays per SM, four in each of four tensor cores; a peak is printed in whole TOPS.
    assert float(per_pe * pe.tile_m * pe.tile_n * 16 * 108) * 1.41e9 == pytest.approx(1248e12, rel=0.002)
    assert pytest.approx(0.1919, rel=1e-3) == 16 * 11991.29e-6


#: Table 2: the 512-slot W2A8 array, um².
ABLATION = (17271.71, 13116.60, 12780.05, 11991.29)
STEPS = (
    {"variant": "unpu"},
    {"index_inversion": "array", "precompute": "array"},  # weights read again as odd numbers: half the table
    {"precompute": "array"},  # inverted offline
    {},  # tables come from the preceding operator
)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_ablation_of_unpu(step):
    # The accumulator's width is not published for this array. The RTL has it as wide as an entry of 16 bits
    # (C_BIT = A_LUT_BIT); 32 bits dilute every ratio by a quarter (1.28 in all).
    areas = [total(made(accumulator="int16", **options).parts()) for options in STEPS]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] / areas[step] == pytest.approx(ABLATION[0] / ABLATION[step], rel=0.05)


#: Table 2: power of the same arrays at 1 GHz, mW.
POWER = (23.39, 17.98, 17.37, 16.22)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_power_of_the_ablation(step):
    # Energies of families agree with synthesis to about 5 % at best; these are of one family.
    def power(options):
        price = price_pe(made(accumulator="int16", **options), load_technology("28nm"))
        return 128 * (price.energy_fj + price.clock_fj) * 1e-3

    assert power(STEPS[0]) / power(STEPS[step]) == pytest.approx(POWER[0] / POWER[step], rel=0.07)
    assert power(STEPS[step]) == pytest.approx(POWER[step], rel=0.30)


def test_half_a_table_takes_half_the_power_of_a_whole_one():
    # FIGLUT (arXiv 2503.06862) Table III: 0.494 for the flip-flops of a half-size table.
    held = [
        next(p for p in made("int4", "fp16", variant=variant, tile_n=32).parts() if p.role == "table")
        for variant in ("figlut", "conventional")
    ]
    prices = [load_technology("28nm").price(p.circuit) for p in held]
    half, whole = (p.energy_fj + p.clock_fj for p in prices)
    assert half / whole == pytest.approx(0.494, rel=0.02)


def test_area_of_the_array():
    # Modelled parts need twice the published area: another library, and an accumulator that is only assumed.
    area = 128 * price_pe(made(accumulator="int16"), load_technology("28nm")).area_um2
    assert 1 < area / ABLATION[3] < 2.2


@pytest.mark.parametrize(("a", "accumulator", "best"), [("int8", "int16", (4,)), ("int8", "int32", (4,)),
                                                       ("fp16", "fp16", (4, 5)), ("fp16", "fp32", (4, 5))])  # fmt: skip
def test_four_activations_per_table_are_the_densest(a, accumulator, best):
    areas = {k: total(made("binary", a, k=k, accumulator=accumulator).parts()) / k for k in range(1, 9)}
    assert min(areas, key=lambda k: areas[k]) in best


def crossover(variant):
    """Weight bits at which a unit of N = 4 columns is as large, over its throughput, as an FP16 MAC unit of four."""
    mac = total(make_pe({"family": "float_mac", "format": "fp16", "accumulator": "fp16", "lanes": 4}).parts())
    previous = None
    for bits in range(2, 17):
        pe = made(f"int{bits}", "fp16", variant=variant, accumulator="fp16", tile_m=1, tile_n=4)
        ratio = total(pe.parts()) * pe.cycles_per_step(pe.w_format, pe.a_format) / mac
        if ratio > 1:
            return bits - (ratio - 1) / (ratio - previous)
        previous = ratio
    raise AssertionError(variant)


@pytest.mark.parametrize(("variant", "published"), [("lut_tensor_core", 6), ("conventional", 2), ("add", 2)])
def test_weight_bits_up_to_which_tables_beat_multipliers(variant, published):
    # "Up to n bits" puts the crossing between n and n + 1; ours are 5.9, 2.6 and 3.06: two miss by 2 %,
    # less than the cost laws resolve.
    found = crossover(variant)
    assert published * 0.95 <= found < (published + 1) * 1.05


def areas_of_four_products():
    """Return the areas in um2 of an FP16 dot product of four, and of one look-up of four binary weights."""
    fp16 = parse_format("fp16")
    mac = 4 * total(operation_parts("mul", fp16)[0], tech="28nm") + 3 * total(
        operation_parts("add", fp16)[0], tech="28nm"
    )
    roles = ("weights", "table", "table fan-out", "lookup", "sign")
    lut = total([p for p in made("binary", "fp16").parts() if p.role in roles], tech="28nm")
    return mac, lut


def test_density_of_a_dot_product_of_four():
    # Figure 12 at 1 GHz. 130 um² cannot hold an FP16 adder at 28 nm: the units are without accumulators. Asked are
    # 30 % of the ratio of both, which is missed (below); alone they are at 0.91 and 1.28.
    for area, published in zip(areas_of_four_products(), (3.39, 61.55), strict=True):
        assert 8e9 / (area * 1e-6) * 1e-12 == pytest.approx(published, rel=0.30)


@pytest.mark.xfail(
    strict=True,
    reason="ours is 25.6: multipliers are 0.91 and look-ups 1.28 of their densities. So are the units as synthesised at 7 nm: 4 FP16 "
    "multipliers and 3 adders of 75 and 59 um2 over 16 bits of an 8:1 table reader, 20 um2, are 23.7",
)
def test_density_of_tables_over_multipliers():
    mac, lut = areas_of_four_products()
    assert mac / lut == pytest.approx(61.55 / 3.39, rel=0.30)
