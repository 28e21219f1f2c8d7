"""What every kind of on-chip memory must do, and that a new one is one object that registers."""

from __future__ import annotations

import math
import pickle

import pytest

from hwsim.cli.main import run_command
from hwsim.hardware.memory import MEMORIES, MemoryRow, MemorySheet
from hwsim.hardware.memory.figures import QUANTITIES, Answer, Macro, Story, made
from hwsim.spec.bind import Spec, validate_mapping

KINDS = MEMORIES.names()


def test_the_kinds_that_ship():
    assert KINDS == ["register_file", "sram"]


@pytest.fixture(params=KINDS)
def kind(request):
    return MEMORIES.get(request.param)


def test_the_defaults_are_a_memory_with_every_figure(kind):
    found = kind.build(validate_mapping({}, kind.settings))
    for name, unit, _ in QUANTITIES:
        assert 0 < getattr(found, name) < math.inf
        assert (name, unit) in [(row.quantity, row.unit) for row in found.rows()]
    assert all(row.source for row in found.rows())
    assert found.width_bits > 0
    assert found.answered_by


def test_its_sheet_has_the_same_figures(kind):
    settings = validate_mapping({}, kind.settings)
    sheet = kind.sheet(settings)
    assert sheet.rows[: len(QUANTITIES)] == kind.build(settings).rows()
    assert sheet.title
    assert sheet.notes


def test_the_candidate_that_is_chosen_is_what_is_built(kind):
    settings = validate_mapping({}, kind.settings)
    chosen = [c for c in kind.candidates(settings) if c.chosen]
    assert len(chosen) <= 1
    assert all(c.figures == pytest.approx(kind.build(settings).figures) for c in chosen)


def test_memories_travel_between_processes(kind):
    found = kind.build(validate_mapping({}, kind.settings))
    copy = pickle.loads(pickle.dumps(found))
    assert copy == found
    assert copy.rows() == found.rows()


def test_explain_shows_it_and_list_names_it(kind, capsys):
    name = next(n for n, k in MEMORIES.items() if k is kind)
    assert run_command(["explain", "memory", name]) == 0
    assert "answered by" in capsys.readouterr().out
    assert run_command(["list", "memory"]) == 0
    assert name in capsys.readouterr().out


class Block:
    """A kind with one setting, such as a block RAM of a chip."""

    class settings(Spec):  # noqa: N801 - what the interface calls it
        blocks: int = 1

    def build(self, settings):
        answer = Answer(
            [0.0] * 6, lambda: Story.of("a data sheet", "UG0 Table 1", False), (float(settings.blocks),) * 6
        )
        of = {"width_bits": 36, "node_nm": 16.0, "device": "hp"}
        return made(Macro, answer, of.items())

    def sheet(self, settings):
        return MemorySheet(f"{settings.blocks} blocks", self.build(settings).rows(), ["of a chip"])

    def candidates(self, settings):
        return []


def test_a_new_kind_is_one_object_that_registers(capsys, monkeypatch):
    MEMORIES.names()
    monkeypatch.setitem(MEMORIES._members, "block", Block())
    assert run_command(["explain", "memory", "block", "--set", "blocks=3"]) == 0
    out = capsys.readouterr().out
    assert "3 blocks" in out
    assert "UG0 Table 1" in out
    row = MEMORIES.get("block").build(validate_mapping({}, Block.settings)).rows()[0]
    assert row == MemoryRow("read_pj", 1.0, "pJ", "UG0 Table 1", False)
    assert run_command(["explain", "memory", "blok"]) == 2
    assert "did you mean 'block'" in capsys.readouterr().err
