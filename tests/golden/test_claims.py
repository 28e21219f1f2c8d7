"""Published savings of L-Mul: exact arithmetic on published energies, each with its baseline."""

from __future__ import annotations

import pytest

from hwsim.cli.main import run_command
from hwsim.hardware.claims import BASELINES, Baseline, operation_pj, saving
from hwsim.spec.errors import MissingFigureError

#: From the tables of Horowitz (45 nm) and Jouppi et al. (7 nm), as fractions of their figures.
EXPECTED = [
    1 - 0.05 / 1.1,
    1 - 0.1 / 3.7,
    1 - (0.1 + 0.9) / (3.7 + 0.9),
    1 - (0.05 + 0.4) / (1.1 + 0.4),
    1 - (0.05 + 0.9) / (1.1 + 0.9),
    1 - (0.03 + 0.38) / (0.34 + 0.38),
    1 - (0.03 + 0.38) / (0.21 + 0.38),
]
PUBLISHED = [0.955, 0.973, 0.783, 0.70, 0.525, 0.43, 0.305]


@pytest.mark.parametrize(("baseline", "expected", "published"), list(zip(BASELINES, EXPECTED, PUBLISHED, strict=True)))
def test_savings_are_exact(baseline, expected, published):
    assert saving(baseline) == pytest.approx(expected, rel=1e-12)
    assert saving(baseline) == pytest.approx(published, abs=0.0011)  # printed to three digits


def test_a_figure_that_no_table_has_is_an_error():
    with pytest.raises(MissingFigureError, match="mul bf16 at 45 nm"):
        saving(Baseline(45, "bf16", "int16", None))
    assert "Horowitz" in operation_pj(45, "mul", "fp32")[1]


def test_explain_names_the_baselines(capsys):
    assert run_command(["explain", "pe", "lmul", "--set", "format=fp8_e4m3"]) == 0
    out = capsys.readouterr().out
    assert "0.7826" in out
    assert "accumulation that stays" in out
