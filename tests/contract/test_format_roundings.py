"""Every rounding and overflow of every element format, against neighbours found with fractions."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from hwsim.formats import ElementFormat, Minifloat, format_names, parse_format
from hwsim.formats.element.fixed import Fixed
from hwsim.formats.element.nested import Nested
from hwsim.formats.element.posit import Posit, positive_values
from hwsim.formats.element.power import Power
from hwsim.formats.rounding import ROUNDINGS

WIDE = ["fp32", "tf32", "fp24_e8m15", "int24", "int32", "uint20", "fix24_q12", "ufix32_q32"]
MORE = ["uint4", "int1", "ufix8_q8", "fp8_e4m3ieee", "fp12_e5m6", "p3109_k6p3ue", "fp4_er_plus", "posit6_es2"]
ELEMENTS = [name for name in [*format_names(), *WIDE, *MORE] if isinstance(parse_format(name), ElementFormat)]
# one phase of four has no direction; nested integers round twice
DIRECTED = [
    name for name in ELEMENTS
    if not parse_format(name).complex_valued and not isinstance(parse_format(name), Nested)
]  # fmt: skip
SATURATING = [mode for mode in ROUNDINGS if mode != "stochastic"]


def sampled_grid(fmt, rng):
    """Neighbouring values of a format, or runs of them here and there where there are many, as pairs."""
    if fmt.bits <= 16:
        grid = fmt.values()
        starts = np.arange(grid.size - 1) if grid.size < 300 else rng.integers(0, grid.size - 1, 300)
        return [(float(grid[i]), float(grid[i + 1])) for i in starts]
    codes = rng.integers(0, 2**fmt.bits - 1, 300).astype(np.uint32)
    if isinstance(fmt, Minifloat):
        codes = codes % np.uint32(fmt.max_code)
        codes[:3] = 0, fmt.max_code - 1, 2**fmt.mantissa_bits - 1
    pairs = [sorted(fmt.decode(np.array([c, c + 1], dtype=np.uint32)).tolist()) for c in codes.tolist()]
    signed = [*pairs, *([-b, -a] for a, b in pairs)] if isinstance(fmt, Minifloat) and fmt.signed else pairs
    return [(a, b) for a, b in signed if fmt.max_value >= b > a]


def halfway(fmt, low, high):
    """The number between two values from which on the upper one is taken."""
    if isinstance(fmt, Power):
        places = [np.sign(v) * np.rint(fmt.top * np.abs(v) ** fmt.exponent) for v in (low, high)]
        middle = sum(places) / 2
        return Fraction(float(np.sign(middle) * (abs(middle) / fmt.top) ** (1 / fmt.exponent)))
    if isinstance(fmt, Posit):
        longer = positive_values(fmt.bits + 1, fmt.es)  # a pattern of one bit more, as in the definition
        size = min(abs(low), abs(high))
        middle = float(longer[np.searchsorted(longer, size) + 1])
        return Fraction(0) if 0 in (low, high) else Fraction(np.copysign(middle, low))
    middle = (Fraction(low) + Fraction(high)) / 2
    # bounds between values that are themselves rounded (nf4, logarithms) are float64
    return middle if not hasattr(fmt, "_table") else Fraction((low + high) / 2)


def expected(mode, x, low, high, middle):
    """What ``mode`` makes of ``x`` between two neighbours, from the words of the definition."""
    if x in (low, high):
        return x
    if mode == "down":
        return low
    if mode == "up":
        return high
    if mode == "toward_zero":  # never to the other side of zero
        return (low if low >= 0 else high) if x > 0 else (high if high <= 0 else low)
    exact = Fraction(x)
    if mode == "nearest_away" and exact == middle:
        return high if x > 0 else low
    return None if exact == middle else high if exact > middle else low


def probes(pairs, kind):
    """Numbers on, halfway between and just beside halfway between neighbours, and others."""
    ends = np.array(pairs, dtype=np.float64)
    middles = ((ends[:, 0] + ends[:, 1]) / 2).astype(kind)
    parts = [
        ends[:, 0].astype(kind), middles, np.nextafter(middles, kind(np.inf)), np.nextafter(middles, kind(-np.inf)),
        (ends[:, 0] * 0.75 + ends[:, 1] * 0.25).astype(kind),
    ]  # fmt: skip
    return np.stack(parts, axis=1)


@pytest.mark.parametrize("name", DIRECTED)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_mode_takes_the_neighbour_of_its_definition(name, kind):
    fmt = parse_format(name)
    if kind is np.float32 and (fmt.bits > 24 or (isinstance(fmt, Posit) and fmt.es == 4)):
        return  # float32 does not hold the values
    pairs = sampled_grid(fmt, np.random.default_rng(11))
    x = probes(pairs, kind)
    signs = "keeps" if getattr(fmt, "_has_negative_zero", False) else "has none"
    for mode in SATURATING:
        found = fmt.quantize(x, rounding=mode)
        for (low, high), numbers, results in zip(pairs, x, found, strict=True):
            low, high, middle = float(kind(low)), float(kind(high)), halfway(fmt, low, high)
            for number, result in zip(numbers.tolist(), results.tolist(), strict=True):
                if not low <= number <= high:  # the next float32 may lie beyond a pair of float32 neighbours
                    continue
                wanted = expected(mode, number, low, high, middle)
                assert result in (low, high) if wanted is None else result == wanted, (mode, number)
                if result == 0:
                    assert np.signbit(result) == (signs == "keeps" and np.signbit(number)), (mode, number)


@pytest.mark.parametrize("name", DIRECTED)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_value_stays_in_every_mode(name, kind):
    fmt = parse_format(name)
    x = probes(sampled_grid(fmt, np.random.default_rng(12)), kind).reshape(-1)
    for mode in ROUNDINGS:
        once = fmt.quantize(x, rounding=mode, seed=3)
        assert np.array_equal(fmt.quantize(once, rounding=mode, seed=4), once), mode


@pytest.mark.parametrize("name", [name for name in ELEMENTS if not parse_format(name).complex_valued])
@pytest.mark.parametrize("mode", ROUNDINGS)
def test_what_overflows_stays_in_the_format(name, mode):
    fmt = parse_format(name)
    top = fmt.max_value
    x = np.concatenate([np.array([1.0, 1.01, 1.3, 2, 1e3]) * top, [np.inf, 0.4 * top]])
    x = np.concatenate([x, -x])
    for overflow in ("saturate", "infinity"):
        found = fmt.quantize(x, rounding=mode, overflow=overflow, seed=2)
        special = ~np.isfinite(found)
        back = fmt.quantize(found[~special])
        assert np.array_equal(back, found[~special])
        assert not special.any() or overflow == "infinity"
        if fmt.bits <= 16:
            listed = fmt.code_values()
            finite = fmt.values()
            assert np.isin(found[~special], finite).all()
            assert np.isin(found[np.isinf(found)], listed).all()
            assert not np.isnan(found).any() or fmt.nan_code is not None
    if fmt.bits <= 16 and np.isinf(fmt.code_values()).any():
        assert np.isinf(fmt.quantize(np.array([np.inf]), rounding=mode, overflow="infinity", seed=1))[0]


@pytest.mark.parametrize("name", DIRECTED)
def test_stochastic_rounding_is_unbiased(name):
    """A quarter of the way between neighbours: the mean of many draws is the number itself."""
    fmt, draws = parse_format(name), 20_000
    pairs = sampled_grid(fmt, np.random.default_rng(13))
    pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, 5).astype(int)]
    for low, high in pairs:
        x = low + (high - low) / 4
        found = fmt.quantize(np.full(draws, x), rounding="stochastic", seed=9)
        assert set(np.unique(found)) <= {low, high}
        share = np.mean(found == high)
        # six standard errors of a share of a quarter
        assert abs(share - (x - low) / (high - low)) < 6 * (0.25 * 0.75 / draws) ** 0.5


def test_pieces_do_not_change_what_is_drawn():
    fmt = parse_format("fp8_e4m3")
    x = np.random.default_rng(1).standard_normal(400_000).astype(np.float32)
    draws = np.random.default_rng(5).random(x.size)
    down, up = (fmt.quantize(x, rounding=mode).astype(np.float64) for mode in ("down", "up"))
    share = (x - down) / np.where(up > down, up - down, 1)
    assert np.array_equal(fmt.quantize(x, rounding="stochastic", seed=5), np.where(draws < share, up, down))


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp16", "int8", "nf4", "fix8_q4", "posit8_es1", "ternary"])
def test_memory_of_other_modes(name):
    fmt, x = parse_format(name), np.linspace(-1, 1, 1 << 22, dtype=np.float32)
    fmt.quantize(x[:8])
    for mode, overflow in [*((mode, "saturate") for mode in ROUNDINGS), ("nearest_even", "infinity")]:
        tracemalloc.start()
        fmt.quantize(x, rounding=mode, overflow=overflow, seed=1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 4 * x.nbytes, mode


@pytest.mark.parametrize("name", ["binary", "bipolar2", "abfloat4"])
def test_towards_zero_keeps_the_sign_where_there_is_no_zero(name):
    fmt = parse_format(name)
    smallest = np.min(np.abs(fmt.values()))
    x = np.array([1e-3, -1e-3, 0.5, -0.5]) * smallest
    assert fmt.quantize(x, rounding="toward_zero").tolist() == (np.sign(x) * smallest).tolist()


@pytest.mark.parametrize("name", ["fp32", "int24", "power4_a50", "fp8_e4m3", "int4_g128", "int4of8", "fix8_q4"])
def test_stochastic_rounding_needs_a_seed(name):
    from hwsim.spec.errors import UsageError

    with pytest.raises(UsageError, match="needs a seed"):
        parse_format(name).quantize(np.ones((2, 4)) * 0.3, rounding="stochastic")


def test_pairs_are_neighbours():
    for name in DIRECTED:
        fmt = parse_format(name)
        pairs = sampled_grid(fmt, np.random.default_rng(14))
        assert len(pairs) >= 1
        for low, high in pairs[:3]:
            if isinstance(fmt, Fixed) or fmt.bits <= 16:
                continue
            inside = np.linspace(low, high, 9)[1:-1]
            assert np.isin(fmt.quantize(inside), (low, high)).all()
        assert all(a < b for pair in pairs for a, b in pairwise(pair))
