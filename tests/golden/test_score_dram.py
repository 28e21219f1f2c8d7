"""Effective bandwidth, latency and energy of DRAM against runs of Ramulator 2.1 and DRAMsim3."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import dram, score
from hwsim.hardware.memory.dram import QUEUED, BankModel, by_reference, effective, energy_per_bit
from hwsim.spec.errors import SpecError, UsageError

DATA = Path(__file__).parents[1] / "data"
RAMULATOR, DRAMSIM3 = DATA / "dram_ramulator.csv", DATA / "dram_dramsim3.csv"


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def written(path, found):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return path


@pytest.fixture
def short(monkeypatch):
    """Runs of a fifth of the rows' cycles, where that is enough."""
    monkeypatch.setattr(dram, "LONGEST", 20_000)


def test_the_closed_form_meets_ramulators_rows():
    found = score("dram", RAMULATOR)
    assert len(found.frame) == len(rows(RAMULATOR))
    bars = {bar.name.split(",")[0]: bar for bar in found.bars if bar.limit is not None}
    assert {name: bar.limit for name, bar in bars.items()} == {
        "read streams": 0.01, "mixed streams": 0.10, "unloaded random read latency": 0.10
    }  # fmt: skip
    assert all(bar.reached for bar in bars.values())
    assert found.notes == []


def test_the_latency_of_a_lone_read_counts_its_burst():
    # Precharge, activation and column alone fall short by a sixth where a burst is long beside them.
    row = next(r for r in rows(RAMULATOR) if r["standard"] == "DDR3" and "latency" in r["pattern"])
    without = float(row["closed_form_GBps"])
    assert without / float(row["measured_GBps"]) < 0.85
    found = score("dram", RAMULATOR).frame
    ours = found[(found["preset"] == "ddr3_1600") & (found["figure"] == "latency_ns")]
    assert ours["error"].abs().max() < 0.015


CONFIGS = ["DDR3_8Gb_x8_1600", "DDR4_8Gb_x8_2400", "DDR4_4Gb_x16_2400", "LPDDR4_8Gb_x16_2400", "HBM1_4Gb_x128"]


@pytest.mark.parametrize("config", CONFIGS)
def test_banks_behind_its_controller_meet_dramsim3s_rows(config, short, tmp_path):
    wanted = ("seq_read", "copy_r1w1_blk32", "random_read")
    some = [r for r in rows(DRAMSIM3) if r["config"] == config and r["pattern"] in wanted]
    found = score("dram", written(tmp_path / "some.csv", some))
    assert [bar.name for bar in found.bars if not bar.reached] == []
    assert found.frame["answered_by"].value_counts()["closed form"] == len(some)
    energies = found.frame[found.frame["figure"] == "pj_per_bit"]
    # The currents of LPDDR4's file are those of DDR4.
    assert len(energies) == (0 if config.startswith("LPDDR4") else len(some))
    assert (energies["error"].abs() < 0.08).all()


def test_a_stride_of_a_row_settles_where_dramsim3s_does(tmp_path):
    some = [r for r in rows(DRAMSIM3) if r["config"] == "DDR4_4Gb_x16_2400" and r["pattern"] == "stride_row"]
    found = score("dram", written(tmp_path / "one.csv", some)).frame
    assert (found[found["answered_by"] == "bank model"]["error"].abs() < 0.06).all()
    # A plain FR-FCFS controller does better than DRAMsim3's, which takes banks in turn: a third here.
    assert found[found["answered_by"] == "closed form"]["error"].item() == pytest.approx(0.34, abs=0.03)


def test_activations_and_hits_are_dramsim3s_too():
    row = next(r for r in rows(DRAMSIM3) if r["config"] == "DDR4_8Gb_x8_2400" and r["pattern"] == "random_read")
    preset = by_reference("dramsim3")[row["config"]]
    addresses, writes = dram.places(preset, "random_read", 6000)
    run = BankModel(preset, row["address_mapping"], QUEUED).run(addresses, writes, max_cycles=20_000)
    assert run.activates / run.reads == pytest.approx(int(row["num_act"]) / int(row["num_read_cmds"]), rel=0.02)
    assert run.latency_cycles == pytest.approx(float(row["avg_read_latency_cyc"]), rel=0.1)


def test_the_closed_form_costs_what_dramsim3_counts():
    for row in rows(DRAMSIM3):
        preset = by_reference("dramsim3")[row["config"]]
        if row["pattern"] in ("seq_read", "seq_write", "random_read") and preset.currents is not None:
            asked = dram.access(preset, row["pattern"])
            found = effective(preset, asked, row["address_mapping"], QUEUED)
            ours = energy_per_bit(preset, found, asked.read_share).total
            assert ours == pytest.approx(float(row["pJ_per_bit_core"]), rel=0.1), (row["config"], row["pattern"])


def test_what_has_no_preset_is_refused_by_name(tmp_path):
    some = rows(RAMULATOR)[:2]
    strange = [{**some[0], "org": "DDR9_8Gb_x8"}, {**some[0], "pattern": "zigzag"}]
    found = score("dram", written(tmp_path / "some.csv", [*some, *strange]))
    assert len(found.frame) == 2
    assert any("no preset of DDR9_8Gb_x8/DDR3_1600H" in note for note in found.notes)
    assert any("unknown pattern 'zigzag'" in note for note in found.notes)
    with pytest.raises(UsageError, match="nothing to compare.*DDR9"):
        score("dram", written(tmp_path / "none.csv", strange[:1]))


def test_other_request_sizes_are_refused(tmp_path, short):
    row = {**rows(DRAMSIM3)[0], "req_bytes": "128"}
    with pytest.raises(UsageError, match="requests of 128 B"):
        score("dram", written(tmp_path / "one.csv", [row]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "of neither form: Ramulator lacks column standard.*DRAMsim3 lacks column config"),
        ("", "of neither form"),
        (",".join(dram.RAMULATOR) + "\nDDR3,DDR3_2Gb_x8,DDR3_1600H,stream,100,1,-1\n", ":2: measured_GBps must be pos"),
        (",".join(dram.RAMULATOR) + "\nDDR3,DDR3_2Gb_x8,DDR3_1600H,stream,many,1,9\n", ":2: .*many"),
        (",".join(dram.DRAMSIM3) + "\nDDR3_8Gb_x8_1600,rochrabgco,seq_read,9\n", "lacks ba"),
    ],
)
def test_a_wrong_table_is_an_error_at_its_line(text, said, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=said):
        score("dram", path)


def test_the_command_exits_with_4_when_a_bar_is_missed(tmp_path, capsys):
    doubled = [{**row, "measured_GBps": str(2 * float(row["measured_GBps"]))} for row in rows(RAMULATOR)]
    path = written(tmp_path / "doubled.csv", doubled)
    assert run_command(["score", "dram", str(path), "--format", "csv"]) == 4
    table = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("bar")
    assert table["reached"].dropna().tolist() == ["no", "no", "no"]
    assert run_command(["score", "dram", str(RAMULATOR)]) == 0
