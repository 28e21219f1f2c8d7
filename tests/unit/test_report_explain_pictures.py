"""Pictures and comparisons of ``hwsim explain``: grids of values, parts of PEs, equal areas."""

from __future__ import annotations

import pytest

from hwsim.cli.main import run_command
from hwsim.formats import parse_format
from hwsim.formats.operand import read_operand_stats
from hwsim.hardware.pe import PES, make_pe, pairing
from hwsim.hardware.pe.pipeline import pipelined_price, step_energy_fj
from hwsim.hardware.technology import load_technology
from hwsim.report.explain import EXPLAINERS, Question
from hwsim.report.explain.pe_compare import groups_of
from hwsim.report.plot import part_bars
from hwsim.report.plot.style import svg_bytes
from hwsim.report.plot.value_grid import value_grid_figure
from hwsim.spec.data import read_csv_rows


@pytest.mark.parametrize("name", ["fp8_e4m3", "ternary", "ue5m3", "posit8_es1", "complex2", "fp4_e2m1"])
def test_grids_are_drawn_the_same_every_time(name):
    values = parse_format(name).values()
    first, again = (svg_bytes(value_grid_figure(name, values)) for _ in range(2))
    assert first == again
    assert len(first) > 2000


def test_explain_writes_pictures(tmp_path, capsys):
    for words in (("format", "fp8_e4m3"), ("pe", "int8"), ("pe", "int8", "fp16")):
        assert run_command(["explain", *words, "-o", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "format_fp8_e4m3.png", "format_fp8_e4m3.svg", "pe_int8.png", "pe_int8.svg"
    ]  # fmt: skip
    assert run_command(["explain", "technology", "28nm", "-o", str(tmp_path / "out")]) == 2
    assert "there is no picture" in capsys.readouterr().err


def frames(names, **asked):
    sections = EXPLAINERS.get("pe")(names[0], Question(others=names[1:], **asked))
    return [section.frame.set_index("pe") for section in sections]


def test_an_equal_area_is_filled_and_throughputs_are_equal():
    single, equal = frames(["fp16", "int8", "bitmod4_g128"], iso_area_mm2=2.0)
    for name in ("fp16", "int8", "bitmod4_g128"):
        count, area = equal.loc[name, "PEs"], single.loc[name, "area_um2"]
        assert count * area <= 2e6 < (count + 1) * area
        assert equal.loc[name, "GMAC/s"] == pytest.approx(count * single.loc[name, "MAC/cycle"])  # at 1 GHz
        assert equal.loc[name, "area_mm2 for 1 TMAC/s"] == pytest.approx(single.loc[name, "um2 per MAC/cycle"] * 1e-3)
        dynamic = equal.loc[name, "dynamic_mw"] + equal.loc[name, "leakage_mw"]
        assert equal.loc[name, "mw for 1 TMAC/s"] == pytest.approx(dynamic * 1e3 / equal.loc[name, "GMAC/s"])


def test_stated_operands_count_beside_others_as_they_do_alone():
    """Of PEs whose cycles depend on data, zeros are in the cycles; the bars show what the table says."""
    asked = {"w_stats": "zeros=0.7"}
    single, _ = frames(["bitlet", "laconic", "int8"], **asked)
    random, _ = frames(["bitlet", "laconic", "int8"])
    node = load_technology("28nm")
    data = read_operand_stats("zeros=0.7"), read_operand_stats("")
    for name, options in (("bitlet", {"family": "bitlet", "format": "int8"}),
                          ("laconic", {"family": "laconic", "format": "int8"})):  # fmt: skip
        pe = make_pe(options)
        fj = step_energy_fj(pe, pipelined_price(pe, node, 1e9)[0], pe.w_format, pe.a_format, data) / pe.lanes
        assert single.loc[name, "fJ per MAC"] == pytest.approx(fj)
        cycles = pe.expected_cycles_per_step(pe.w_format, pe.a_format, data=data)
        assert single.loc[name, "MAC/cycle"] == pytest.approx(pe.lanes / cycles)
        assert single.loc[name, "MAC/cycle"] > 1.2 * random.loc[name, "MAC/cycle"]


def test_bars_of_energy_sum_to_the_energy_of_a_mac(monkeypatch):
    drawn = {}
    monkeypatch.setattr(part_bars, "part_bars_figure", lambda title, panels, *rest: drawn.update(panels))
    names = ["bitlet", "int8", "bitmod4_g128"]
    section = EXPLAINERS.get("pe")(names[0], Question(others=tuple(names[1:])))[0]
    section.draw()
    for name in names:
        fj = section.frame.set_index("pe").loc[name, "fJ per MAC"]
        assert sum(drawn["energy per MAC (fJ)"][name].values()) == pytest.approx(fj)


def test_an_equal_throughput_takes_as_few_whole_pes_as_reach_it():
    names = ["fp16", "int8", "bitmod4_g128"]
    single, _, reached = frames(names, iso_throughput=4e12, clock_hz=5e8)
    for name in names:
        per_pe = 2 * single.loc[name, "MAC/cycle"] * 5e8
        count = reached.loc[name, "PEs"]
        assert (count - 1) * per_pe < 4e12 <= count * per_pe
        assert reached.loc[name, "area_mm2"] == pytest.approx(count * single.loc[name, "area_um2"] * 1e-6)
        assert reached.loc[name, "dynamic_mw"] == pytest.approx(2 * single.loc[name, "fJ per MAC"])  # 2 TMAC/s
        assert reached.loc[name, "TOPS/W"] == pytest.approx(4e3 / reached.loc[name, "mw"])


def test_a_pe_of_several_formats_is_compared_mode_by_mode(capsys):
    single, equal = frames(["int8", "fp16+int8"])
    modes = ["fp16+int8: fp16 × fp16", "fp16+int8: int8 × int8"]
    assert list(single.index) == list(equal.index) == ["int8", *modes]
    assert single.loc[modes[0], "area_um2"] == single.loc[modes[1], "area_um2"] > single.loc["int8", "area_um2"]
    assert single.loc[modes[0], "fJ per MAC"] > single.loc[modes[1], "fJ per MAC"] > single.loc["int8", "fJ per MAC"]
    assert run_command(["explain", "pe", "fp16+int8"]) == 0
    out = capsys.readouterr().out
    assert "modes, each beside a PE of its own" in out
    assert "estimated: the 10 % that Wattch" in out
    assert run_command(["explain", "pe", "multi", "--set", "idle_share=0.3"]) == 0
    assert "what idles takes 0.3 of what it takes at work, clock included (as given)" in capsys.readouterr().out


def test_a_cheap_multiplier_is_no_cheap_pe():
    single, _ = frames(["lmul_bf16", "bf16"])
    multiplier = single.loc["lmul_bf16", "multiplier_um2"] / single.loc["bf16", "multiplier_um2"]
    whole = single.loc["lmul_bf16", "area_um2"] / single.loc["bf16", "area_um2"]
    assert multiplier < 0.5 < 0.7 < whole


def test_groups_sum_to_the_price():
    price, _ = pipelined_price(make_pe(pairing("nvfp4").pe_spec), load_technology("28nm"), 1e9)
    assert sum(groups_of(price, "area_um2").values()) == pytest.approx(price.area_um2)
    assert sum(groups_of(price, "energy_fj").values()) == pytest.approx(price.energy_fj + price.clock_fj)


def test_only_pes_are_compared_and_areas_have_a_unit(capsys):
    assert run_command(["explain", "format", "int8", "fp16"]) == 2
    assert "one name at a time" in capsys.readouterr().err
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-area", "2 kg"]) == 2
    assert "valid: mm2, um2" in capsys.readouterr().err
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-area", "2"]) == 2
    assert "'2' has no unit and would be in mm2" in capsys.readouterr().err
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-area", "2mm2", "--tech", "7nm"]) == 0
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-throughput", "4 tops"]) == 0
    assert "at 4 TOPS of each" in capsys.readouterr().out
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-throughput", "2 TMAC/s"]) == 0
    assert "at 4 TOPS of each" in capsys.readouterr().out
    assert run_command(["explain", "pe", "int8", "fp16", "--iso-throughput", "4 mm2"]) == 2
    assert "valid: GOPS, TOPS, GMAC/s, TMAC/s" in capsys.readouterr().err


def test_modelled_costs_say_how_far_they_may_be_off():
    errors = {row["figure"]: row for row in read_csv_rows("synthesis", "errors.csv") if row["left_out"] == "units"}
    told = f"area {float(errors['area_um2']['median']):.1%}"
    explain = EXPLAINERS.get("pe")
    for others in ((), ("fp16",)):
        notes = explain("int8", Question(others=others))[0].notes
        assert any("expected error" in note and told in note for note in notes)
    figures = {"basis": "published", "source": "a table", "technology": "28nm", "area_um2": 300, "energy_pj": 0.2}
    assert not any(
        "expected error" in note for note in explain("int8", Question(settings={"figures": figures}))[0].notes
    )


@pytest.mark.parametrize("family", PES.names())
def test_every_family_is_shown_without_options(family):
    assert not EXPLAINERS.get("pe")(family, Question())[0].frame.empty
