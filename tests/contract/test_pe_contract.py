"""What every PE family must offer, for every label that names a PE: parts, prices, behaviour."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.formats import Integer, format_names, parse_format
from hwsim.hardware.circuits import GROUPS
from hwsim.hardware.fpga.device import load_device
from hwsim.hardware.pe import PES, make_pe, pairing, price_pe
from hwsim.hardware.pe.pairing import PAIRINGS
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.target import pe_on_fabric
from hwsim.hardware.technology import load_technology, technology_names
from hwsim.simulate.evaluate import evaluate
from hwsim.spec.errors import MissingFigureError, UsageError
from tests.support.small import TRACE, small

LABELS = [
    "fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp4_e2m1", "int2", "int3", "int4", "int8", "int16",
    "fp16_unfused", "fp8_e4m3_unfused",
    "int4_g128", "int4_asym_g128", "mxfp4", "mxfp6_e3m2", "mxfp8_e4m3", "mxint8", "nvfp4", "lmul_e4m3", "lmul_bf16",
    "lmul_bf16_formula", "bitmod3_g128", "bitmod4_g128", "w4a16_g128", "w4a8", "w8a8", "nf4_g64", "posit8_es1",
    "lut_w2a8", "lut_w4a16_g128", "lut_bipolar2", "lut_int4_asym_g128", "figlut_w4a16", "unpu_w2a8",
    "lut_conventional_w2a16", "lut_add_w2a8",
    "mxfp4_dot32", "mxfp8_e4m3_dot32", "mxint8_dot32", "nvfp4_dot16", "fp16_dot8",
    "ternary", "ternary_a16", "ternary_g128", "binary", "binary_a8", "binary_a16",
    "bipolar2", "bipolar4", "bitplane_w6a6", "bitplane_w6a8", "bitplane_w4a8_g128",
    "mixpe_w4a8", "mixpe_w4a16", "mixpe_w4a8_g128", "mixpe_w4a16_g128",
    "complex2", "complex2_a16", "olive4_g128", "olive4_tensor", "olive8_tensor", "flint4", "flint5", "flint4_g128",
    "pot4", "pot4x2", "fix8_q7_k1", "fix8_q4_k2", "fpma_bf16", "fpma_fp8_e4m3", "mitchell_bf16",
    "figna_w4", "figna_w4_g128", "figna_w8_bf16", "olaccel_w8a16", "olaccel_w8a8",
    "tpe_mac", "tpe_opt1", "tpe_opt2", "tpe_opt3", "tpe_opt4c", "tpe_opt4e", "tpe_opt4c_w4a8",
    "stripes_w8a8", "stripes_w4a8_g128", "loom_w8a8", "loom_w4a6",
    "laconic_w8a8", "laconic_naf_w8a8", "laconic_oneffset_w4a8",
    "bitlet_w8a8", "bitlet_w4a8_g128", "bitfusion_w8a8", "bitfusion_w2a8", "bitfusion_w16a8",
    "exact_int4", "exact_int8", "exact_e2m1", "exact_e4m3", "exact_e5m2", "exact_lmul_e4m3", "exact_lmul_e2m3",
    "fp16+int8", "int4_g128+bf16+fp8_e4m3",
]  # fmt: skip
#: Families whose sums are those of whole numbers.
EXACT_INTEGERS = ("int_mac", "bit_weight", "stripes", "laconic", "bitlet", "bitfusion")


@pytest.fixture(params=LABELS)
def pe(request):
    return make_pe(pairing(request.param).pe_spec)


def codes(fmt, shape, seed=0):
    values = fmt.element.code_values() if fmt.element.bits <= 16 else None
    rng = np.random.default_rng(seed)
    if values is None:
        return fmt.element.encode(rng.standard_normal(shape))
    usable = np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e4))
    return rng.choice(usable, shape).astype(np.uint32)


def rounds_per_plane(pe):
    """Float tables: bit planes of a zero cancel up to roundings, whose number depends on the tables of a step."""
    return pe.family == "lut" and not isinstance(pe.a_format.element, Integer)


def test_every_family_claims_a_label_and_every_claim_is_a_family():
    assert {make_pe(pairing(label).pe_spec).family for label in LABELS} == set(PES.names()) == set(PAIRINGS.names())


def test_it_computes_the_pair_that_it_is_built_for(pe):
    assert pe.supports(pe.w_format, pe.a_format) is None
    assert pe.cycles_per_step(pe.w_format, pe.a_format) >= 1
    assert pe.macs_per_cycle(pe.w_format, pe.a_format) * pe.cycles_per_step(pe.w_format, pe.a_format) == pe.lanes


def test_parts_are_whole_datapaths(pe):
    groups = {part.group for part in pe.parts()}
    assert groups <= set(GROUPS)
    assert {"multiplier", "accumulator", "register"} <= groups
    assert any(part.role == "accumulator" and part.group == "register" for part in pe.parts())
    for part in pe.parts():
        assert part.count > 0
        assert all(count >= 0 for count in part.circuit.cells().values())
        assert sum(part.circuit.cells().values()) > 0, part


@pytest.mark.parametrize("name", technology_names())
def test_the_price_is_the_sum_of_its_parts(pe, name):
    price, stages = pipelined_price(pe, load_technology(name), 5e8)
    assert stages >= 1
    for figure in ("area_um2", "energy_fj", "clock_fj", "leakage_nw"):
        assert getattr(price, figure) == sum(getattr(row, figure) for row in price.rows) > 0
    assert price.delay_ps == sum(row.delay_ps for row in price.rows if row.part.on_path) > 0


def test_it_has_a_price_on_fabric_or_is_refused_by_the_name_of_a_part(pe):
    try:
        one = pe_on_fabric(pe, load_device("u250"), "never")
    except MissingFigureError as error:
        assert pe.family in str(error)
        assert any(f"part {part.role!r}" in str(error) for part in pe.built)
    else:
        assert one.sites.lut == pytest.approx(sum(sites.lut for _, sites, _ in one.rows))
        assert one.sites.lut > 0
        assert one.sites.ff > 0
        assert one.dsp == 0
        assert [part for part, _, _ in one.rows] == list(pe.built)


def test_a_device_runs_it_in_as_many_cycles_as_an_asic(pe, request):
    sizes = {name: {"size": 1 << 18} for name in ("weights", "activations", "outputs")}
    label = request.node.callspec.params["pe"]
    asic, fpga = (
        evaluate(small(label, technology=name, memories=sizes, mapper={"objective": "latency"}), TRACE)
        for name in ("28nm", "u280")
    )
    assert [row["cycles"] for row in asic.layer_rows] == [row["cycles"] for row in fpga.layer_rows]
    assert all(row["energy_pj"] is None for row in fpga.layer_rows)


def test_older_nodes_cost_more(pe):
    prices = [price_pe(pe, load_technology(name)) for name in ("7nm", "28nm", "45nm")]
    for figure in ("area_um2", "energy_fj", "delay_ps"):
        values = [getattr(price, figure) for price in prices]
        assert values == sorted(values)


def test_a_faster_clock_never_costs_less_area(pe):
    prices = [pipelined_price(pe, load_technology("28nm"), clock) for clock in (1e8, 3e8, 9e8)]
    assert [s for _, s in prices] == sorted(s for _, s in prices)
    areas = [price.area_um2 for price, _ in prices]
    assert areas == sorted(areas)


def test_group_sums_have_a_dequantizer_and_others_have_none(pe):
    w, a = pe.w_format, pe.a_format
    parts = pe.dequant_parts(w, a)
    if pe.scaling(w, a) == "sum":
        assert w.block_size or a.block_size
        assert dequantizer_price(pe, w, a, load_technology("28nm"), 5e8).area_um2 > 0
        assert {part.group for part in parts} == {"dequantization"}
    if not w.block_size and not a.block_size:
        assert pe.scaling(w, a) == "none"


def test_steps_are_vectorised_over_leading_axes(pe):
    w, a = codes(pe.w_format, (3, 4, pe.lanes)), codes(pe.a_format, (3, 4, pe.lanes), 1)
    found = pe.finish(pe.accumulate(pe.initial((3, 4)), w, a, pe.w_format, pe.a_format))
    one_by_one = [[pe.dot(w[i, j], a[i, j], pe.w_format, pe.a_format) for j in range(4)] for i in range(3)]
    assert np.array_equal(found, np.array(one_by_one, dtype=found.dtype))


def has_zero(fmt):
    return fmt.element.decode(fmt.element.encode(np.zeros(1)))[0] == 0


def test_zeros_give_zero_and_signs_negate(pe):
    if not has_zero(pe.a_format):  # binary and bipolar activations
        return
    w, a = codes(pe.w_format, 12), codes(pe.a_format, 12, 1)
    zero = pe.a_format.element.encode(np.zeros(12))
    assert pe.dot(w, zero, pe.w_format, pe.a_format) == 0
    values = pe.a_format.element.decode(a)
    if pe.a_format.element.encode(np.array([-1.0]))[0] != pe.a_format.element.encode(np.array([1.0]))[0]:
        plus = pe.a_format.element.encode(np.abs(values))
        minus = pe.a_format.element.encode(-np.abs(values))
        assert pe.dot(w, minus, pe.w_format, pe.a_format) == -pe.dot(w, plus, pe.w_format, pe.a_format)


def test_zero_weights_and_cleared_accumulators_are_zero(pe):
    a = codes(pe.a_format, 12, 1)
    if has_zero(pe.w_format):  # binary, bipolar and complex weights have none
        found = pe.dot(pe.w_format.element.encode(np.zeros(12)), a, pe.w_format, pe.a_format)
        if rounds_per_plane(pe):
            assert abs(found) <= 2.0**-20 * 2**pe.w_format.bits * np.abs(pe.a_format.element.decode(a)).sum()
        else:
            assert found == 0
    for shape in ((), (5,), (2, 3)):
        cleared = pe.finish(pe.initial(shape))
        assert cleared.shape == shape
        assert cleared.dtype.kind in "ifc"
        assert not cleared.any()


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
def test_lanes_change_nothing_where_sums_are_exact_or_taken_one_by_one(pe, lanes):
    w, a = codes(pe.w_format, 21), codes(pe.a_format, 21, 1)
    wide = replace(pe, lanes=lanes)
    found = wide.dot(w, a, pe.w_format, pe.a_format)
    by_steps = wide.initial(())
    for start in range(0, 21, lanes):
        span = slice(start, start + lanes)
        by_steps = wide.accumulate(np.asarray(by_steps), w[span], a[span], pe.w_format, pe.a_format)
    assert found == wide.finish(np.asarray(by_steps))
    # BitMoD and FIGNA align their lanes to the largest of them; a block dot product rounds once for all of them
    if pe.family not in ("bitmod", "figna", "block_dot") and not rounds_per_plane(pe):
        assert found == replace(pe, lanes=1).dot(w, a, pe.w_format, pe.a_format)


def test_more_lanes_cost_more_but_less_than_as_many_pes(pe):
    technology = load_technology("28nm")
    first = pe.k if pe.family == "lut" else 1  # within one table, lanes cost exponentially
    prices = [price_pe(replace(pe, lanes=first * lanes), technology) for lanes in (1, 2, 4, 8)]
    for one, two in pairwise(prices):
        assert one.area_um2 < two.area_um2 < 2 * one.area_um2
        assert one.energy_fj < two.energy_fj < 2 * one.energy_fj


def test_prices_are_those_of_the_circuits(pe):
    technology = load_technology("28nm")
    price = price_pe(pe, technology)
    assert [row.part for row in price.rows] == list(pe.parts())
    for row in price.rows:
        one = technology.price(row.part.circuit)
        assert row.area_um2 == one.area_um2 * row.part.count
        assert row.leakage_nw == one.leakage_nw * row.part.count
        held = row.part.group == "register"
        noise = 1 if held else price.settled_factor * price.glitch_factor * price.regime_factor
        assert row.energy_fj == pytest.approx(one.energy_fj * row.part.count * row.part.activity * noise)
        assert (row.clock_fj > 0) == held
    assert price.glitch_factor >= 1


def test_what_it_cannot_compute_it_refuses_with_a_reason(pe):
    refused = [name for name in format_names() if pe.supports(parse_format(name), pe.a_format) is not None]
    assert refused  # no PE takes every weight
    for name in refused:
        reason = str(pe.supports(parse_format(name), pe.a_format))
        assert reason
        assert "\n" not in reason


def test_every_pair_that_it_supports_has_a_price_and_a_result(pe):
    for name in format_names():
        w = parse_format(name)
        if pe.supports(w, pe.a_format) is not None:
            continue
        assert pe.cycles_per_step(w, pe.a_format) >= 1
        assert (pe.scaling(w, pe.a_format) == "none") == (not w.block_size and not pe.a_format.block_size), name
        if pe.scaling(w, pe.a_format) == "sum":
            assert dequantizer_price(pe, w, pe.a_format, load_technology("7nm"), 1e9).energy_fj > 0
            assert pe.dequant_cycles(w, pe.a_format) >= 1
        few = codes(w, 5), codes(pe.a_format, 5, 1)
        assert np.isfinite(pe.dot(*few, w, pe.a_format)), name


def test_a_dot_is_close_to_the_exact_one(pe):
    w, a = codes(pe.w_format, 64), codes(pe.a_format, 64, 1)
    exact = pe.w_format.element.decode(w) * pe.a_format.element.decode(a)
    if getattr(pe, "product", None) is not None:  # products that are not fused are rounded by themselves
        rounded = pe.product.quantize(exact)
        kept = np.abs(rounded) < pe.product.max_value
        w, a, exact = w[kept], a[kept], rounded[kept]
    size = np.abs(exact).sum()
    if pe.family in EXACT_INTEGERS:
        wi, ai = pe.w_format.element.integers(w), pe.a_format.element.integers(a)
        assert pe.dot(w, a, pe.w_format, pe.a_format) == wi @ ai
    elif (
        pe.family in ("lmul", "approx_mac") or getattr(pe, "multiplication", "") == "lmul"
    ):  # their own error: up to 1/4 of every product (m >= 2)
        assert abs(pe.dot(w, a, pe.w_format, pe.a_format) - exact.sum()) <= 0.25 * size
    else:  # grid of the largest exponent, FP32 or wider sums
        assert abs(pe.dot(w, a, pe.w_format, pe.a_format) - exact.sum()) <= 2.0**-10 * size


widths = st.tuples(st.integers(2, 8), st.integers(1, 10))


@settings(max_examples=60)
@given(widths, st.tuples(st.integers(0, 3), st.integers(0, 4)), st.sampled_from(["float_mac", "lmul"]), st.booleans())
def test_wider_floats_never_cost_less_area_or_energy(narrow, more, family, subnormals):
    technology = load_technology("28nm")

    def price(exponent, mantissa):
        options = {"family": family, "format": f"fp{1 + exponent + mantissa}_e{exponent}m{mantissa}"}
        # auto keeps subnormals in narrow formats only; compared is the same kind of datapath
        return price_pe(make_pe(options | ({"subnormals": subnormals} if family == "float_mac" else {})), technology)

    small, large = price(*narrow), price(min(narrow[0] + more[0], 8), narrow[1] + more[1])
    assert small.area_um2 <= large.area_um2
    assert small.energy_fj <= large.energy_fj


@settings(max_examples=60)
@given(*[st.integers(2, 12)] * 2, *[st.integers(0, 3)] * 2, st.integers(1, 8))
def test_wider_integers_never_cost_less_area_or_energy(w, a, more_w, more_a, lanes):
    def price(w_bits, a_bits):
        options = {"family": "int_mac", "w_format": f"int{w_bits}", "a_format": f"int{a_bits}", "lanes": lanes}
        return price_pe(make_pe(options), load_technology("28nm"))

    assume(not w < 8 <= w + more_w)  # below 8 bits a multiplexer is kept for weights that come in passes
    small, large = price(w, a), price(w + more_w, a + more_a)
    assert small.area_um2 <= large.area_um2
    assert small.energy_fj <= large.energy_fj


@pytest.mark.parametrize("label", ["fp8_e4m9", "int99", "nothing", "w4", "lmul_int8", "bitmod5_g128", ""])
def test_labels_that_mean_nothing_are_refused_with_a_hint(label):
    with pytest.raises(UsageError, match="valid|did you mean"):
        pairing(label)


def test_every_listed_format_has_a_pe_or_a_reason():
    for name in format_names():
        try:
            assert pairing(name).w_format == parse_format(name)
        except UsageError as error:
            assert name in str(error)


@pytest.mark.parametrize(("narrow", "wide"), [("int4", "int8"), ("int8", "int16"), ("fp8_e4m3", "bf16"),
                                              ("bf16", "fp32"), ("lmul_e4m3", "lmul_bf16"), ("mxfp4", "mxfp8_e4m3"),
                                              ("w4a8", "w8a8"), ("bitmod3_g128", "bitmod4_g128")])  # fmt: skip
def test_wider_operands_never_cost_less(narrow, wide):
    technology = load_technology("28nm")
    small, large = (price_pe(make_pe(pairing(label).pe_spec), technology) for label in (narrow, wide))
    assert small.area_um2 <= large.area_um2
    assert small.energy_fj <= large.energy_fj


def test_all_steps_at_a_time_are_those_one_by_one(pe):
    w, a = pe.w_format, pe.a_format
    m, n, k = 3, 4, 2 * pe.lanes + max(pe.lanes // 2, 1)
    w_codes, a_codes = codes(w, (k, n)), codes(a, (m, k), seed=1)
    begun = pe.accumulate(pe.initial((m, n)), codes(w, (n, 1), 2)[None], codes(a, (m, 1), 3)[:, None], w, a)
    found = pe.accumulate_many(begun, w_codes, a_codes, w, a)
    one_by_one = begun
    for start in range(0, k, pe.lanes):
        span = slice(start, start + pe.lanes)
        pairs = (np.broadcast_to(x, (m, n, x.shape[-1])) for x in (w_codes[span].T[None], a_codes[:, None, span]))
        one_by_one = pe.accumulate(one_by_one, *pairs, w, a)
    assert found.dtype == one_by_one.dtype
    held = [x.tolist() if x.dtype == object else x.tobytes() for x in (found, one_by_one)]  # objects are addresses
    assert held[0] == held[1]
    fresh = pe.finish(pe.accumulate_many(pe.initial((m, n)), w_codes, a_codes, w, a))
    exact = [[pe.dot(w_codes[:, j], a_codes[i], w, a) for j in range(n)] for i in range(m)]
    assert np.array_equal(fresh, np.array(exact), equal_nan=True)


#: Families that take an operand bit by bit and say of the highest one whether it is a sign: activations, weights.
SIGN_BY_BIT = {"a": ("bit_plane", "bitfusion", "stripes"), "w": ("bit_plane", "bitfusion", "bitlet", "lut")}


@pytest.mark.parametrize("role", ["w", "a"])
def test_unsigned_operands_of_equal_bits_need_more_than_a_signed_datapath(pe, role):
    """uint8 goes up to 255, which no signed byte is: it is refused, or takes more cycles (9 bits in two passes)."""
    w, a = pe.w_format, pe.a_format
    built = (w if role == "w" else a).element
    if not isinstance(built, Integer) or not built.signed or built.last_place != 1 or pe.family in SIGN_BY_BIT[role]:
        return
    if getattr(pe, "serial", "") == "both":  # Loom: weights come bit by bit as well
        return
    unsigned = parse_format(f"uint{built.bits}")
    pair = (unsigned, a) if role == "w" else (w, unsigned)
    if pe.supports(*pair) is None:
        assert pe.cycles_per_step(*pair) > pe.cycles_per_step(w, a)
