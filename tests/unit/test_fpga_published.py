"""Published FPGA units beside the model; what ``explain device`` and ``explain pe --target`` show."""

from __future__ import annotations

import json

import pytest

from hwsim.cli.main import run_command
from hwsim.hardware.fpga.published import mac_overheads, published_units


def test_every_published_unit_has_a_model_or_a_reason() -> None:
    units = published_units()
    assert len({(one.unit, one.format) for one in units}) == 24  # 22 of the facts' table, and both versions of TeLLMe
    for one in units:
        assert (one.modelled is None) == bool(one.why_not), one
        assert one.source


@pytest.mark.parametrize(
    ("unit", "figure", "bound"),
    [
        # Asked: L-Mul accelerator rows within 20 %.
        ("CNN accelerator (Faster R-CNN)", "lut6", 0.20),
        ("GCN accelerator", "lut6", 0.20),
        ("L-Mul multiplier", "ff", 0.0),
        # Vendor tools need fewer LUTs than the synthesis that calibrated ours: 69 for 88 (fpga-and-formats.md, 2).
        ("L-Mul multiplier", "lut6", 0.30),
        ("exact multiplier IP", "lut6", 0.30),
    ],
)
def test_deviations_of_published_units(unit: str, figure: str, bound: float) -> None:
    found = [one for one in published_units() if (one.unit, one.figure) == (unit, figure) and one.error is not None]
    assert found
    assert max(abs(one.error or 0) for one in found) <= bound


def test_minifloat_macs_against_integers() -> None:
    """Synthesised: E2M1 37 for 39 LUT, E3M2 66 for 71, E4M3 118 and E5M2 160 for 117."""
    found = mac_overheads()
    for name, overhead in {"e2m1": 37 / 39, "e3m2": 66 / 71, "e4m3": 118 / 117, "e5m2": 160 / 117}.items():
        assert 1 + found[name] == pytest.approx(overhead, rel=0.15)


def sections(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[dict[str, object]]]:
    assert run_command([*arguments, "--format", "json"]) == 0
    return {one["title"]: one["rows"] for one in json.loads(capsys.readouterr().out)}


def test_a_device_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    found = sections(capsys, "explain", "device", "u250")
    assert [row["resource"] for row in found["u250: budgets"]] == ["lut6", "ff", "dsp", "bram18", "uram"]
    assert len(found["super logic regions"]) == 4
    assert any("static power: in no source" in note for note in _notes(capsys, "u250"))
    assert sections(capsys, "explain", "device", "d5005")["fastest clocks"] == []


def _notes(capsys: pytest.CaptureFixture[str], name: str) -> list[str]:
    assert run_command(["explain", "device", name, "--format", "json"]) == 0
    return [note for one in json.loads(capsys.readouterr().out) for note in one["notes"]]


def test_savings_of_lmul_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    """Synthesised: E4M3's L-Mul halves the multiplier (30 → 15 LUT) and saves 21 % of an exact MAC."""
    found = sections(capsys, "explain", "pe", "lmul", "--set", "format=fp8_e4m3", "--target", "zcu104")
    title = "L-Mul against exact products of fp8_e4m3 on zcu104"
    rows = {str(row["of"]): float(str(row["saving"])) for row in found[title]}
    assert [*rows] == ["multiplier alone", "whole MAC, lossless sum of 50 bits", "whole MAC, sum in fp32"]
    assert 1 - 26 / 30 < rows["multiplier alone"] < 1 - 15 / 30  # between L-Mul with zeros and saturation, and bare
    assert rows["whole MAC, lossless sum of 50 bits"] == pytest.approx(0.21, abs=0.1)
    assert 0 < rows["whole MAC, sum in fp32"] < rows["whole MAC, lossless sum of 50 bits"]
    assert any("products in LUTs" in name for name in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "pe", "lmul", "--set", "format=fp8_e4m3", "--target", "zcu105"], "unknown FPGA device 'zcu105'"),
        (["explain", "pe", "int8", "fp16", "--target", "zcu104"], "--target is for explain pe with one PE"),
        (["explain", "memory", "hbm2", "--target", "zcu104"], "--target is for explain pe with one PE"),
        (["explain", "device", "zcu105"], "unknown FPGA device"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 2
    assert message in capsys.readouterr().err
