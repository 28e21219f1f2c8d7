"""Lookup tables: bits against tables built entry by entry, parts against Eq. 7 and 8, costs in every width."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.formats import parse_format
from hwsim.hardware.pe import make_pe, pairing, price_pe
from hwsim.hardware.pe.lookup import entries, generator_adders, weight_planes
from hwsim.hardware.technology import load_technology
from hwsim.spec.errors import UsageError

VARIANTS = ["lut_tensor_core", "conventional", "unpu", "figlut", "add"]
WEIGHTS = ["int2", "int3", "int4", "int8", "uint1", "uint4", "ternary", "binary", "bipolar2", "bipolar4"]


def made(w="int2", a="int8", **options):
    return make_pe({"family": "lut", "w_format": w, "a_format": a, **options})


def usable(name, rng, count):
    values = parse_format(name).element.code_values()
    return rng.choice(np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e3)), count).astype(np.uint32)


def table(values, symmetric, round_):
    """Every sum of a group, by its key (bit k: activation k), added halves first."""

    def tree(terms):
        if len(terms) == 1:
            return terms[0]
        high = (len(terms) + 1) // 2
        return round_(tree(terms[:high]) + tree(terms[high:]))

    def sign(bit):
        return (1 if bit else -1) if symmetric else int(bit)

    size = len(values)
    keys = [[(key >> k) & 1 for k in range(size)] for key in range(2**size)]
    return [tree([sign(bit) * value for bit, value in zip(bits, values, strict=True)]) for bits in keys]


def half_table(full, key, size):
    """Read a symmetric table of half the words: the top bit inverts the others and the sign (FIGLUT, III-D)."""
    if key >> (size - 1):
        return full[key]
    return -full[~key & (2**size - 1)]


def twin(pe, w_codes, a_codes, w_name, round_table, round_sum):
    """A scalar model with whole tables, for one accumulator per output."""
    symmetric, fmt = pe.symmetric, parse_format(w_name)
    n, values = fmt.bits, [Fraction(float(v)) for v in pe.a_format.element.decode(a_codes)]
    signed = fmt.name == "ternary" or getattr(fmt.element, "signed", False)
    bipolar = fmt.name == "binary" or fmt.name.startswith("bipolar")
    flip = 1 << (n - 1) if symmetric and signed and not bipolar else 0
    total = rest = Fraction(0)
    for start in range(0, len(values), pe.lanes):
        step = range(start, min(start + pe.lanes, len(values)))
        groups = [step[at : at + pe.k] for at in range(0, len(step), pe.k)]
        tables = [table([values[i] for i in group], symmetric, round_table) for group in groups]
        for plane in range(n):
            for group, full in zip(groups, tables, strict=True):
                key = sum((((int(w_codes[i]) ^ flip) >> plane) & 1) << k for k, i in enumerate(group))
                term = half_table(full, key, len(group)) if symmetric else full[key]
                top = not symmetric and signed and plane == n - 1
                total = round_sum(total + (-1 if top else 1) * 2**plane * term)
        if symmetric and not bipolar:
            for full in tables:
                rest = round_sum(rest + full[-1] * (-1 if signed else 2**n - 1))
    total = round_sum(total + rest)
    return total / (2 if symmetric and not bipolar else 1)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(VARIANTS), st.sampled_from(WEIGHTS), st.integers(1, 6), st.integers(1, 13), st.integers(0, 999))
def test_integer_dots_are_exact_and_the_twin_agrees(variant, w, k, lanes, seed):
    if weight_planes(parse_format(w), variant in VARIANTS[::3]) is None:
        with pytest.raises(UsageError, match="valid"):
            made(w, variant=variant)
        return
    pe, rng = made(w, variant=variant, k=k, lanes=lanes), np.random.default_rng(seed)
    wc, ac = usable(w, rng, 23), usable("int8", rng, 23)
    found = pe.dot(wc, ac, pe.w_format, pe.a_format)
    assert found == pe.w_format.element.decode(wc) @ pe.a_format.element.decode(ac)
    assert found == twin(pe, wc, ac, w, lambda x: x, lambda x: x)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["lut_tensor_core", "conventional", "unpu", "add"]),
    st.sampled_from(["int2", "int4", "uint4", "ternary", "bipolar2"]),
    st.sampled_from([("fp16", "fp16"), ("fp16", "fp32"), ("bf16", "fp32"), ("fp8_e4m3", "fp16")]),
    st.integers(1, 5), st.integers(1, 9), st.integers(0, 999),
)  # fmt: skip
def test_float_dots_round_as_the_twin_does(variant, w, formats, k, lanes, seed):
    if variant != "lut_tensor_core" and w == "bipolar2":
        return
    a, acc = formats
    pe, rng = made(w, a, variant=variant, k=k, lanes=lanes, accumulator=acc), np.random.default_rng(seed)
    wc, ac = usable(w, rng, 11), usable(a, rng, 11)

    def rounded(fmt):  # every sum here is far within float64: exponents are below 2^10
        return lambda x: Fraction(float(fmt.quantize(np.array([float(x)]))[0]))

    ac = np.where(np.abs(pe.a_format.element.decode(ac)) > 2.0**-12, ac, 0).astype(np.uint32)
    expected = twin(pe, wc, ac, w, rounded(pe.table), rounded(pe.accumulator))
    assert pe.dot(wc, ac, pe.w_format, pe.a_format) == expected


def test_figlut_keeps_a_sum_per_bit_plane():
    pe = made("int4", "fp16", variant="figlut")
    rng = np.random.default_rng(3)
    wc, ac = usable("int4", rng, 32), usable("fp16", rng, 32)
    acc = pe.initial(())
    for at in range(0, 32, 4):
        acc = pe.accumulate(np.asarray(acc), wc[at : at + 4], ac[at : at + 4], pe.w_format, pe.a_format)
    values = pe.a_format.element.decode(ac)
    for plane in range(4):
        signs = 2 * (((wc.astype(int) ^ 8) >> plane) & 1) - 1
        assert acc["planes"][plane] == pytest.approx(signs @ values, abs=2.0**-9 * np.abs(values).sum())
    assert "plane exponent" not in {part.role for part in pe.parts()}


@pytest.mark.parametrize(("a", "unit"), [("int8", 4), ("fp16", None)])
def test_int8_tables_hold_multiples_of_a_power_of_two(a, unit):
    pe, exact = made("int2", a, table="int8"), made("int2", a)
    assert pe.entry_bits == 8 < exact.entry_bits
    rng = np.random.default_rng(1)
    wc, ac = usable("int2", rng, 64), usable(a, rng, 64)
    values = pe.a_format.element.decode(ac)
    found, true = pe.dot(wc, ac, pe.w_format, pe.a_format), pe.w_format.element.decode(wc) @ values
    # Half a unit of each table, twice per weight pair of planes and once for the rest: (3 + 1) / 2.
    units = [unit or 2.0 ** np.ceil(np.log2(np.abs(values[i : i + 4]).sum() / 127)) for i in range(0, 64, 4)]
    assert found != true
    assert abs(found - true) <= sum(units) * 1.01 + 2.0**-10 * np.abs(values).sum()
    one = pe.accumulate(pe.initial(()), wc[:4], ac[:4], pe.w_format, pe.a_format)
    assert np.abs(one["planes"] / (1 if unit else units[0])).max() <= 3 * 127


def test_registers_are_those_of_equations_7_and_8():
    pe = made("int2", "fp16", variant="lut_tensor_core")
    assert pe.table_bits() == 2 * 2**3 * 16
    assert pe.weight_register_bits() == 4 * 64 * 2
    per_pe = {p.role: p.count * p.circuit.bits for p in pe.parts() if p.role in ("table", "weights")}
    assert per_pe["table"] * pe.tile_m * pe.tile_n == pe.table_bits()
    assert per_pe["weights"] * pe.tile_m * pe.tile_n == pe.weight_register_bits()
    assert pe.cycles_per_step(parse_format("int2"), parse_format("fp16")) == 2
    assert pe.macs_per_cycle(pe.w_format, pe.a_format) == 2


@pytest.mark.parametrize("group", range(1, 9))
def test_generators_have_enough_adders(group):
    assert entries(group, True) * 2 == entries(group, False) == 2**group
    for symmetric in (True, False):
        adders = sum(generator_adders(group, symmetric).values())
        assert adders >= entries(group, symmetric) - (group + 1 if not symmetric else (group == 1))
        assert adders <= (group - 1) * entries(group, symmetric)
    assert sum(generator_adders(4, True, mirrored=False).values()) == 14  # FIGLUT III-E


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(VARIANTS),
    st.integers(2, 12),
    st.integers(0, 3),
    st.integers(1, 7),
    st.integers(0, 3),
    st.booleans(),
)
def test_wider_weights_activations_and_tables_never_cost_less(variant, bits, more, k, deeper, floats):
    def price(width, group, w_bits):
        a = f"fp{6 + min(width, 10)}_e5m{min(width, 10)}" if floats else f"int{width}"
        pe = made("int2", a, variant=variant, k=min(group, 8), weight_bits=w_bits)
        return price_pe(pe, load_technology("7nm")).area_um2

    assert price(bits, k, 2) <= price(bits + more, k, 2)
    assert price(bits, k, 2) <= price(bits, k + deeper, 2)
    assert price(bits, k, 2) <= price(bits, k, 2 + more)


def test_more_columns_share_a_table_and_more_rows_the_weights():
    tech = load_technology("28nm")
    areas = [price_pe(made(precompute="array", tile_n=n), tech).area_um2 for n in (1, 4, 16, 64)]
    assert areas == sorted(areas, reverse=True)
    assert price_pe(made(tile_m=4), tech).area_um2 < price_pe(made(tile_m=1), tech).area_um2


@pytest.mark.parametrize(
    ("label", "variant", "w", "a"),
    [("lut_w2a8", "lut_tensor_core", "int2", "int8"), ("lut_w1a16", "lut_tensor_core", "binary", "fp16"),
     ("figlut_w4a16_g128", "figlut", "int4_g128", "fp16"), ("unpu_ternary", "unpu", "ternary", "int8"),
     ("lut_conventional_w3a8", "conventional", "int3", "int8"), ("lut_add_w2a16", "add", "int2", "fp16")],
)  # fmt: skip
def test_labels(label, variant, w, a):
    found = pairing(label)
    pe = make_pe(found.pe_spec)
    assert (pe.family, pe.variant, pe.w_format.name, pe.a_format.name) == ("lut", variant, w, a)
    assert found.kv_format.name == "int8"


@pytest.mark.parametrize("label", ["lut_fp16", "unpu_bipolar2", "figlut_", "lut_w16a16", "lut_add_nf4_g64"])
def test_labels_without_bit_planes_are_refused(label):
    with pytest.raises(UsageError, match="valid|did you mean"):
        pairing(label)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"variant": "lut"}, "lut_tensor_core"), ({"k": 9}, "1 to 8"), ({"tile_n": 0}, "1 to 1024"),
     ({"table": "int12"}, "int10"), ({"table": "fp16"}, "exact"), ({"accumulator": "fp32"}, "integer"),
     ({"accumulator": "int4"}, "10 to 53"), ({"accumulator": "uint32"}, "a signed integer"), ({"precompute": "maybe"}, "fused"), ({"weight_bits": 1}, "held"),
     ({"variant": "unpu", "index_inversion": "array"}, "offline"), ({"variant": "add", "precompute": "array"}, "fused"),
     ({"a_format": "mxfp8_e4m3"}, "no blocks"), ({"a_format": "fp32"}, "16 bits"), ({"w_format": "fp4_e2m1"}, "ternary"),
     ({"w_format": "bipolar2", "variant": "unpu"}, "symmetric"),
     ({"a_format": "fp16", "table": "int8", "precompute": "array"}, "fused")],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_with_what_can(options, named):
    with pytest.raises(UsageError, match=named):
        make_pe({"family": "lut", "w_format": "int2", "a_format": "int8", **options})


def test_it_runs_narrower_weights_and_refuses_others():
    pe = replace(made("int4"), weight_bits=4)
    assert pe.supports(parse_format("int2"), pe.a_format) is None
    assert pe.supports(parse_format("int2"), parse_format("int4")) is None
    assert "wider" in str(pe.supports(parse_format("int8"), pe.a_format))
    assert "bit by bit" in str(pe.supports(parse_format("fp16"), pe.a_format))
    assert "integers" in str(pe.supports(parse_format("int2"), parse_format("fp16")))
