"""Published targets that the model misses: each test fails until it does not, and then says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.explore.score import score
from hwsim.hardware.pe import price_pe
from hwsim.hardware.pe.pipeline import dequantizer_price, pipelined_price
from hwsim.hardware.pe.registry import make_pe
from hwsim.hardware.technology import load_technology

CLOCK_HZ = 1e9


def area(options, dequantizer):
    pe, technology = make_pe(options), load_technology("28nm")
    found = pipelined_price(pe, technology, CLOCK_HZ)[0].area_um2
    own = dequantizer_price(pe, pe.w_format, pe.a_format, technology, CLOCK_HZ).area_um2 if dequantizer else 0.0
    return found + own


@pytest.mark.xfail(
    strict=True,
    reason="ours is 1.17 (0.98 without dequantizer): the BitMoD PE with it is 1.15 of the published 1517 um2, the FP16 PE 0.75 of "
    "1989.5 um2. The paper does not say what its FP16 PE holds. Synthesised at 7 nm without operands, stages, encoder and "
    "dequantizer, such units are 168 and 207 um2, or 0.81",
)
def test_area_of_bitmod_over_fp16():
    # arXiv 2411.11745, Table X: 24 % less per PE
    ratio = area({"family": "bitmod"}, True) / area({"family": "float_mac", "format": "fp16"}, False)
    assert ratio == pytest.approx(0.763, rel=0.10)


@pytest.mark.xfail(
    strict=True,
    reason="ours is 1.74: a PE alone is far faster than one in an array, whose wires and fan-out are not modelled. At "
    "clocks of 1.0 and 1.5 GHz, an assumption, it is 1.158 (tests/unit/test_pe_bit_weight.py)",
)
@pytest.mark.parametrize("published", [1.27, 1.28])
def test_gain_of_opt1_at_own_clocks(published):
    # arXiv 2503.06342, abstract: area efficiency of arrays with carry-save accumulators
    technology = load_technology("28nm")
    mac, opt1 = (price_pe(make_pe({"family": "bit_weight", "engine": e}), technology) for e in ("mac", "opt1"))
    gain = mac.delay_ps * mac.area_um2 / (opt1.delay_ps * opt1.area_um2)
    assert gain == pytest.approx(published, rel=0.15)


@pytest.mark.xfail(
    strict=True,
    reason="with tiles of our own search, prefills of all designs are bound by compute (1.94 and 1.71 times as fast, near "
    "the 2.0 and 1.78 of the arrays), and FP16 moves half of the paper's DRAM bits (2.03). The paper's rule, by which "
    "operands of more than 512 KiB are fetched again, gives 1.80, 1.60 and 2.35: test_score_bitmod.py",
)
@pytest.mark.parametrize(
    ("metric", "setting", "bar"),
    [
        ("speedup BitMoD-lossy vs ANT", "disc", 0.06),
        ("speedup BitMoD-lossy vs OliVe", "disc", 0.06),
        ("energy efficiency lossless vs FP16", "all", 0.08),
    ],
)
def test_bitmods_gains_with_searched_tiles(metric, setting, bar, tmp_path):
    # arXiv 2411.11745, V-C
    published = Path(__file__).parents[1] / "data" / "bitmod_published.csv"
    header, *rows = published.read_text().splitlines(keepends=True)
    (tmp_path / "one.csv").write_text(header + "".join(row for row in rows if f",{metric},{setting}," in row))
    (row,) = score("bitmod-paper", tmp_path / "one.csv").frame.to_dict("records")
    assert row["searched"] == pytest.approx(row["reference"], rel=bar)
