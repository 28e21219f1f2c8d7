"""Figures that a source states of a PE: they are the whole, parts keep their shares, and nothing is silent."""

from __future__ import annotations

import pytest

from hwsim.cli.main import run_command
from hwsim.hardware.pe import make_pe, pairing
from hwsim.hardware.pe.pipeline import pipelined_price
from hwsim.hardware.technology import load_technology
from hwsim.simulate.architecture import open_arch
from hwsim.spec.errors import SpecError, UsageError

FIGURES = {"basis": "published", "source": "BitMoD Table X", "technology": "28nm", "area_um2": 1517, "energy_pj": 0.615}
OPTIONS = {"family": "bitmod", "figures": FIGURES}


def priced(options, technology="28nm"):
    return pipelined_price(make_pe(options), load_technology(technology), 1e9)[0]


def test_the_whole_is_as_stated_and_parts_keep_their_shares():
    found, modelled = priced(OPTIONS), priced({"family": "bitmod"})
    assert found.area_um2 == pytest.approx(1517)
    assert found.energy_fj + found.clock_fj == pytest.approx(615)
    assert (found.basis, modelled.basis) == ("published", "modelled")
    for ours, theirs in zip(found.rows, modelled.rows, strict=True):
        assert ours.area_um2 / found.area_um2 == pytest.approx(theirs.area_um2 / modelled.area_um2)
        assert ours.part == theirs.part
    # leakage goes with the area, delay stays
    assert found.leakage_nw / modelled.leakage_nw == pytest.approx(found.area_um2 / modelled.area_um2)
    assert found.delay_ps == modelled.delay_ps


def test_what_is_not_stated_stays_modelled():
    found = priced({"family": "bitmod", "figures": {**FIGURES, "energy_pj": 0.7, "leakage_nw": 5.0}})
    assert found.leakage_nw == pytest.approx(5)
    alone = {k: v for k, v in FIGURES.items() if k != "area_um2"}
    assert priced({"family": "bitmod", "figures": alone}).area_um2 == priced({"family": "bitmod"}).area_um2


def test_figures_hold_in_their_technology_only():
    with pytest.raises(UsageError, match="those of 28nm say nothing about 7nm"):
        priced(OPTIONS, "7nm")


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ("published", "must be a mapping"),
        ({**FIGURES, "aera_um2": 1}, "did you mean 'area_um2'"),
        ({k: v for k, v in FIGURES.items() if k != "source"}, "source is missing"),
        ({**FIGURES, "basis": "guessed"}, "valid: published, synthesised"),
        ({**FIGURES, "area_um2": 0}, "must be a number above 0"),
        ({**FIGURES, "area_um2": "1517"}, "must be a number above 0"),
        ({k: FIGURES[k] for k in ("basis", "source", "technology")}, "states nothing"),
    ],
)
def test_wrong_figures_are_refused(figures, said):
    with pytest.raises(UsageError, match=said):
        make_pe({"family": "int_mac", "format": "int8", "figures": figures})


def test_every_family_takes_them_and_behaves_as_before():
    for label in ("fp16", "int8", "lmul_e4m3", "nf4_g64", "lut_w2a8"):
        spec = dict(pairing(label).pe_spec)
        stated = make_pe({**spec, "figures": FIGURES})
        assert stated.stated is not None
        assert stated.parts() == make_pe(spec).parts()


def test_a_machine_and_its_tables_say_so(capsys):
    simulated = open_arch("arch_configs/bitmod_28nm.yaml", {"pe": {**OPTIONS, "w_format": "bitmod4_g128"}})
    assert simulated.accelerator.pe_price.basis == "published"
    with pytest.raises(SpecError, match="say nothing about 7nm"):
        open_arch("arch_configs/bitmod_28nm.yaml", {"pe": OPTIONS, "technology": "7nm"})
    settings = ["--set", "figures={basis: published, source: paper, technology: 28nm, area_um2: 900}"]
    assert run_command(["explain", "pe", "int_mac", "--set", "format=int8", *settings]) == 0
    out = capsys.readouterr().out
    assert "basis: published" in out
    assert "stated: paper" in out
