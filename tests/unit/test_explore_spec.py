"""Sweep files: what a good one means, and the line and column of every mistake in a bad one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, model_validator

from hwsim.explore.space import Axis
from hwsim.explore.spec import SweepSpec, load_sweep, make_sweep
from hwsim.explore.sweep_file import LatinHypercubeSpec
from hwsim.spec.bind import Spec, bind, json_schema
from hwsim.spec.document import load_document, parse_document
from hwsim.spec.errors import SpecError
from hwsim.spec.units import FrequencyHz, SizeBytes
from tests.support.explore import ARCH, SWEEP, make, write_sweep


class Array(Spec):
    rows: int = Field(ge=1, le=256)
    cols: int = Field(ge=1, le=128)


class Memory(Spec):
    size: SizeBytes


class Memories(Spec):
    weights: Memory
    activations: Memory


class TinyArch(Spec):
    """What ``ARCH`` is; small, but with a rule between two fields."""

    name: str
    technology: str
    clock: FrequencyHz
    array: Array
    pe: dict[str, Any]
    memories: Memories

    @model_validator(mode="after")
    def _one_family(self):
        if self.pe.get("family") not in ("mac", "lut"):
            raise ValueError(f"pe.family: unknown {self.pe.get('family')!r}")
        return self


def check(document):
    bind(document, TinyArch)


def problems(folder, text, checked=None, arch=ARCH):
    """Return the problems of a sweep file as ``(line, column, path, message)``."""
    path = write_sweep(folder, text, arch)
    with pytest.raises(SpecError) as caught:
        load_sweep(path, checked)
    assert {p.file for p in caught.value.problems} == {str(path)}
    return [(p.line, p.column, p.path, p.message) for p in caught.value.problems]


FULL = """\
name: everything
description: all that a sweep may say
base: base.yaml
workloads:
  - chat.yaml
  - {model: m, phase: decode, context: 64}
engine: pe
grid:
  array.rows: [4, 8]
  memories.weights.size: {geometric: [32 KiB, 128 KiB, 3]}
zip:
  - pe: [{family: mac, format: int8}, {family: lut}]
    clock: [1 GHz, 500 MHz]
  - technology: [28nm, 28nm, 7nm]
    pe.lanes: [1, 2, 2]
tie:
  array.cols: array.rows
latin_hypercube: {samples: 9, seed: 3}
constraints:
  - array.rows * array.cols <= 4096
  - area_mm2 <= 12
objectives: {energy_mj: min, tops_per_watt: max}
search: {method: exhaustive}
"""


class TestGoodFiles:
    def test_the_short_one(self, tmp_path):
        sweep = make(tmp_path)
        assert len(sweep.space) == 12
        assert sweep.spec.engine == "fast"
        assert sweep.spec.search.method == "exhaustive"
        assert sweep.spec.objectives == {"energy_mj": "min", "latency_ms": "min"}
        assert sweep.folder == tmp_path
        assert sweep.arch_path == tmp_path / "base.yaml"
        assert sweep.workload_labels == ("a batch=1", "b")
        assert sweep.conditions == ((), ())

    def test_the_full_one(self, tmp_path):
        sweep = make(tmp_path, FULL)
        spec = sweep.spec
        assert spec.axes() == [
            Axis(("array.rows",), ((4,), (8,))),
            Axis(("memories.weights.size",), (("32 KiB",), ("64 KiB",), ("128 KiB",))),
            Axis(
                ("pe", "clock"),
                (({"family": "mac", "format": "int8"}, "1 GHz"), ({"family": "lut"}, "500 MHz")),
            ),
            Axis(("technology", "pe.lanes"), (("28nm", 1), ("28nm", 2), ("7nm", 2))),
        ]
        assert spec.latin_hypercube == LatinHypercubeSpec(samples=9, seed=3)
        assert sweep.space.designs == 9
        assert sweep.space.paths[-1] == "array.cols"
        assert sweep.workload_labels == ("chat", "m decode context=64")
        before, after = sweep.conditions
        assert [c.text for c in before] == ["array.rows * array.cols <= 4096"]
        assert [c.text for c in after] == ["area_mm2 <= 12"]
        assert spec.objectives == {"energy_mj": "min", "tops_per_watt": "max"}

    def test_a_single_zip_group_may_stand_without_its_list(self, tmp_path):
        one = make(tmp_path, SWEEP + "zip: {clock: [1 GHz, 2 GHz], pe.lanes: [1, 2]}\n")
        listed = make(tmp_path, SWEEP + "zip: [{clock: [1 GHz, 2 GHz], pe.lanes: [1, 2]}, {}]\n")
        assert one.spec.axes() == listed.spec.axes()
        assert len(one.space) == 24

    def test_a_zip_may_hold_a_value_twice_and_its_designs_keep_their_names(self, tmp_path):
        sweep = make(
            tmp_path, f"{MINIMAL}zip: {{array.rows: [4, 4, 8], array.cols: [4, 8, 8], clock: [1 GHz, 2 GHz, 1 GHz]}}\n"
        )
        assert [p.label for p in sweep.space] == ["4x4 1GHz", "4x8 2GHz", "8x8 1GHz"]

    def test_a_resolved_point_is_the_base_with_its_values(self, tmp_path):
        sweep = make(tmp_path, SWEEP + "tie: {array.cols: array.rows}\n")
        point = sweep.space[7]
        data = sweep.resolved(point).data
        assert data["array"] == {"rows": 8, "cols": 8}
        assert data["memories"] == {"weights": {"size": "128 KiB"}, "activations": {"size": "32 KiB"}}
        assert data["clock"] == "1 GHz"
        assert sweep.arch.data["array"] == {"rows": 4, "cols": 8}
        assert sweep.resolved(point).mark("array.cols").file == f"point {point.label}"

    def test_the_base_may_inherit_and_lie_elsewhere(self, tmp_path):
        path = write_sweep(tmp_path / "sweeps", SWEEP.replace("base.yaml", "../archs/child.yaml"))
        (tmp_path / "archs").mkdir()
        (tmp_path / "archs" / "parent.yaml").write_text(ARCH)
        (tmp_path / "archs" / "child.yaml").write_text("base: parent.yaml\nname: child\narray: {cols: 2}\n")
        sweep = load_sweep(path, check)
        assert sweep.arch_path == tmp_path / "archs" / "child.yaml"
        assert sweep.arch.data["array"] == {"rows": 4, "cols": 2}
        assert sweep.arch.data["name"] == "child"

    def test_the_path_may_be_text_and_relative(self, tmp_path, monkeypatch):
        write_sweep(tmp_path)
        monkeypatch.chdir(tmp_path)
        sweep = load_sweep("sweep.yaml")
        assert sweep.folder == Path()
        assert len(sweep.space) == 12

    def test_a_sweep_from_text(self, tmp_path):
        write_sweep(tmp_path)
        assert len(make_sweep(parse_document(SWEEP), tmp_path).space) == 12

    def test_one_objective_is_enough(self, tmp_path):
        assert make(tmp_path, f"{MINIMAL}objectives: {{area_mm2: min}}\n").spec.objectives == {"area_mm2": "min"}

    def test_without_axes_the_base_alone_runs(self, tmp_path):
        sweep = make(tmp_path, "name: x\nbase: base.yaml\nworkloads: [w.yaml]\n")
        assert [p.label for p in sweep.space] == ["tiny"]
        assert make(tmp_path, "name: x\nbase: base.yaml\nworkloads: [w.yaml]\n", "array: {}\n").space[0].label == "base"

    def test_check_arch_sees_the_base_and_every_value_once(self, tmp_path):
        seen = []
        load_sweep(write_sweep(tmp_path), lambda document: seen.append(document.data))
        shapes = [(d["array"]["rows"], d["memories"]["weights"]["size"]) for d in seen]
        assert shapes == [
            (4, "64 KiB"),
            (4, "64 KiB"),
            (8, "64 KiB"),
            (16, "64 KiB"),
            (4, "64 KiB"),
            (4, "128 KiB"),
        ]

    def test_constraints_may_name_fields_metrics_and_what_only_some_values_have(self, tmp_path):
        text = SWEEP + (
            "zip: {pe: [{family: lut, table: {bits: 2}}, {family: mac}]}\n"
            "constraints: [pe.table.bits < 4, pe.lanes < 4, pe == 'mac', memories.activations.size <= 1 MiB, sqnr_db > 0]\n"
        )
        assert len(make(tmp_path, text).spec.constraints) == 5

    def test_the_schema_for_editors_knows_the_short_forms(self):
        fields = json_schema(SweepSpec, "sweep")["properties"]
        axis = fields["grid"]["additionalProperties"]
        assert [form.get("required", form["type"]) for form in axis["anyOf"]] == [
            "array",
            ["range"],
            ["linear"],
            ["geometric"],
        ]
        one, several = fields["zip"]["anyOf"]
        assert one["additionalProperties"] == several["items"]["additionalProperties"] == axis
        assert fields["workloads"]["minItems"] == 1


MINIMAL = "name: x\nbase: base.yaml\nworkloads: [w.yaml]\n"


class TestBadFiles:
    """Each mistake alone: its line, its column, its path, what was found and what is valid."""

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ("grid: {array.rows: [4, 8, 4]}", [(4, 20, "grid.array.rows", "the value 4 stands twice")]),
            ("grid:\n  clock: [1 GHz, 1000 MHz]", [(5, 10, "grid.clock", "the value '1000 MHz' stands twice")]),
            ("grid: {array.rows: 16}", [(4, 20, "grid.array.rows", "found 16; valid: a list of values, or one of")]),
            ("grid: {array.rows: []}", [(4, 20, "grid.array.rows", "found no values; valid: at least one")]),
            ("grid: {array.rows: {rang: [1, 2, 1]}}", [(4, 20, "grid.array.rows", "(did you mean 'range'?)")]),
            ("grid: {clock: {linear: [1 GHz, 64 KiB, 3]}}", [(4, 24, "grid.clock.linear", "the ends mix Hz and B")]),
            ("grid: [1]", [(4, 7, "grid", "must be a mapping")]),
            ("gird: {array.rows: [1]}", [(4, 1, "gird", "unknown key 'gird'; valid: ")]),
            ("objectives: {}", [(4, 13, "objectives", "must")]),
            ("objectives: {energy: min}", [(4, 22, "objectives.energy", "unknown metric 'energy'; valid: ")]),
            ("objectives: {energy_mj: low}", [(4, 25, "objectives.energy_mj", "'low'")]),
            ("engine: fats", [(4, 9, "engine", "unknown engine 'fats'; valid: ")]),
            (
                "search: {method: exhaustiv}",
                [(4, 18, "search.method", "unknown search 'exhaustiv'; valid: exhaustive")],
            ),
            ("constraints: [area_mm2 = 3]", [(4, 15, "constraints.0", "write == to compare")]),
            ("constraints:\n- 1 < 2\n- area_mm2", [(6, 3, "constraints.1", "is no condition")]),
            ("constraints: [open('x') == 1]", [(4, 15, "constraints.0", "unknown function; valid: abs, max, min")]),
            ("constraints: [array.row < 3]", [(4, 15, "constraints.0", "(did you mean 'array.rows'?)")]),
            ("constraints: [3]", [(4, 15, "constraints.0", "must be text")]),
            ("latin_hypercube: {samples: 0}", [(4, 28, "latin_hypercube.samples", "must be")]),
            ("latin_hypercube: {seed: 1}", [(4, 1, "latin_hypercube", "missing field 'samples'")]),
            ("tie: {array.cols: array.rows}", [(4, 19, "tie.array.cols", "'array.rows' is not swept; valid: none")]),
            (
                "grid: {array.rows: [1, 2]}\ntie: {array.cols: array.row}",
                [(5, 19, "tie.array.cols", "'array.row' is not swept; valid: array.rows (did you mean 'array.rows'?)")],
            ),
            (
                "grid: {array.rows: [1, 2]}\ntie: {array.rows: array.rows}",
                [(5, 7, "tie.array.rows", "'array.rows' is swept and tied")],
            ),
            (
                "grid: {array.rows: [1, 2]}\ntie: {a: array.rows, b: a}",
                [(5, 25, "tie.b", "'a' is not swept; valid: array.rows")],
            ),
            (
                "zip: {array.rows: [1, 2], array.cols: [1, 2, 3]}",
                [(4, 1, "zip", "need equally many values: array.rows has 2, array.cols has 3")],
            ),
            (
                "zip:\n  - clock: [1 GHz]\n  - array.rows: [1, 2]\n    array.cols: [1]",
                [(6, 5, "zip.1", "need equally many values: array.rows has 2, array.cols has 1")],
            ),
            (
                "zip: {array.rows: [4, 4, 4.0], memories.weights.size: [64 KiB, 1 MiB, 65536]}",
                [(4, 1, "zip", "the step array.rows = 4.0, memories.weights.size = 64KiB stands twice")],
            ),
            (
                "grid: {array.rows: [1, 2]}\nzip: {array.rows: [1, 2], array.cols: [1, 2]}",
                [(5, 7, "zip.array.rows", "'array.rows' is swept twice")],
            ),
            (
                "zip:\n- {clock: [1 GHz]}\n- {pe.lanes: [1], clock: [2 GHz]}",
                [(6, 19, "zip.1.clock", "'clock' is swept twice")],
            ),
        ],
    )
    def test_one_mistake(self, tmp_path, more, expected):
        found = problems(tmp_path, f"{MINIMAL}{more}\n")
        assert [item[:3] for item in found] == [item[:3] for item in expected]
        for (*_, message), (*_, part) in zip(found, expected, strict=True):
            assert part in message

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("name: x\nworkloads: [w.yaml]\n", (0, 0, "", "missing field 'base' (architecture file that every")),
            ("name: ''\nbase: base.yaml\nworkloads: [w.yaml]\n", (1, 7, "name", "must")),
            (
                "name: x\nbase: base.yaml\nworkloads: []\n",
                (3, 12, "workloads", "found no workloads; valid: at least one"),
            ),
            ("name: x\nbase: base.yaml\nworkloads: [3]\n", (3, 13, "workloads.0", "must be text or a mapping, not 3")),
            (
                "name: x\nbase: bace.yaml\nworkloads: [w.yaml]\n",
                (2, 7, "base", "valid: base.yaml, sweep.yaml (did you"),
            ),
            ("name: x\nbase: no/base.yaml\nworkloads: [w.yaml]\n", (2, 7, "base", "no such file")),
            ("name: x\nbase: .\nworkloads: [w.yaml]\n", (2, 7, "base", "is a directory")),
            (MINIMAL + "grid: {clock: [1 GHz]}\ngrid: {}\n", (5, 1, "grid", "")),
        ],
    )
    def test_the_rest_of_the_file(self, tmp_path, text, expected):
        (line, column, path, message), *more = problems(tmp_path, text)
        assert (line, column, path) == expected[:3]
        assert expected[3] in message
        assert not more

    def test_workloads_that_a_table_could_not_tell_apart(self, tmp_path):
        text = "name: x\nbase: base.yaml\nworkloads:\n- {model: m, batch: 1}\n- {batch: 1, model: m}\n- a/w.yaml\n- b/w.yaml\n"
        assert problems(tmp_path, text) == [
            (5, 3, "workloads.1", "'m batch=1' stands twice"),
            (7, 3, "workloads.3", "two workloads are called 'w'; give each a name"),
        ]

    def test_all_mistakes_of_a_stage_are_reported_at_once_in_the_order_of_the_file(self, tmp_path):
        text = (
            "name: x\nbase: base.yaml\nworkloads: [w.yaml]\ngrid:\n  array.rows: [1, 1]\n  clock: 5\n"
            "constraints: [1 +]\nobjectives: {speed: max}\n"
        )
        assert [item[:3] for item in problems(tmp_path, text)] == [
            (5, 15, "grid.array.rows"),
            (6, 10, "grid.clock"),
            (7, 15, "constraints.0"),
            (8, 21, "objectives.speed"),
        ]

    def test_a_broken_base_is_reported_in_its_own_file(self, tmp_path):
        path = write_sweep(tmp_path, SWEEP, "array: [1\n")
        with pytest.raises(SpecError) as caught:
            load_sweep(path)
        assert caught.value.problems[0].file == str(tmp_path / "base.yaml")

    def test_no_such_sweep(self, tmp_path):
        write_sweep(tmp_path)
        with pytest.raises(SpecError, match=r"swep\.yaml: no such file \(did you mean '.*sweep\.yaml'\?\)"):
            load_sweep(tmp_path / "swep.yaml")

    def test_the_message_shows_the_line_and_a_caret(self, tmp_path):
        path = write_sweep(tmp_path, f"{MINIMAL}grid: {{array.rows: 16}}\n")
        with pytest.raises(SpecError) as caught:
            load_sweep(path)
        assert str(caught.value).splitlines() == [
            f"{path}:4:20: grid.array.rows: found 16; valid: a list of values, or one of range, linear, geometric",
            "    grid: {array.rows: 16}",
            "                       ^",
        ]


class TestValuesThatTheArchitectureRefuses:
    """Reported at the value in the sweep file, before anything runs."""

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ("grid: {array.rows: [4, 0, 8, 999]}", [(4, 24, "array.rows", "0"), (4, 30, "array.rows", "999")]),
            ("grid:\n  clock: [1 GHz, 5 W]", [(5, 18, "clock", "5 W")]),
            ("grid:\n  clock:\n  - 1 GHz\n  - fast", [(7, 5, "clock", "fast")]),
            ("grid: {array.rows: {range: [250, 260, 5]}}", [(4, 8, "array.rows", "(in 260)")]),
            ("grid: {array: [{rows: 4, cols: 8}, {rows: 4}]}", [(4, 36, "array", "missing field 'cols'")]),
            ("grid: {array.depth: [1]}", [(4, 22, "array.depth", "unknown key 'depth'")]),
            ("grid: {clock.fast: [1]}", [(4, 21, "clock.fast", "clock is '1 GHz' and has no part 'fast'")]),
            ("zip: {clock: [1 GHz, 2 GHz], array.cols: [8, 0]}", [(4, 46, "array.cols", "0")]),
            (
                "zip:\n- {array.cols: [8]}\n- {array.rows: [4, -4], clock: [1 GHz, 2 GHz]}",
                [(6, 20, "array.rows", "-4")],
            ),
            ("grid: {array.rows: [4, 200]}\ntie: {array.cols: array.rows}", [(4, 24, "array.cols", "(in 200)")]),
        ],
    )
    def test_place(self, tmp_path, more, expected):
        found = problems(tmp_path, f"{MINIMAL}{more}\n", check)
        assert [item[:3] for item in found] == [item[:3] for item in expected]
        for (*_, message), (*_, part) in zip(found, expected, strict=True):
            assert part in message

    def test_the_message_names_the_value(self, tmp_path):
        (found,) = problems(tmp_path, f"{MINIMAL}grid: {{memories.weights.size: [64 KiB, 0.3 B]}}\n", check)
        assert found == (4, 40, "memories.weights.size", "'0.3 B' is not a whole number of bytes (in 0.3B)")

    def test_a_tied_path_moves_along_when_a_value_is_tried(self, tmp_path):
        def square(document):
            array = document.data["array"]
            if array["rows"] != array["cols"]:
                raise SpecError([document.problem("array.rows", "must equal array.cols")])

        text = f"{MINIMAL}grid: {{array.rows: [4, 8]}}\ntie: {{array.cols: array.rows}}\n"
        path = write_sweep(tmp_path, text, ARCH.replace("cols: 8", "cols: 4"))
        assert len(load_sweep(path, square).space) == 2

    def test_findings_elsewhere_do_not_count_because_another_axis_may_mend_them(self, tmp_path):
        text = f"{MINIMAL}grid:\n  pe: [{{family: mac}}, {{family: odd}}]\n  pe.family: [mac, lut]\n"
        assert len(load_sweep(write_sweep(tmp_path, text), check).space) == 4

    def test_a_base_that_is_wrong_is_reported_before_any_value(self, tmp_path):
        path = write_sweep(tmp_path, f"{MINIMAL}grid: {{array.rows: [0]}}\n", ARCH.replace("rows: 4", "rows: 0"))
        with pytest.raises(SpecError) as caught:
            load_sweep(path, check)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.path) == (str(tmp_path / "base.yaml"), 4, "array.rows")

    def test_without_a_check_only_impossible_paths_are_found(self, tmp_path):
        found = problems(tmp_path, f"{MINIMAL}grid: {{clock.x: [1], array.rows: [0]}}\n")
        assert [item[:3] for item in found] == [(4, 18, "clock.x")]


def test_the_base_key_names_the_architecture_not_a_sweep_to_inherit(tmp_path):
    document = load_document(write_sweep(tmp_path), inherit=False)
    assert document.data["base"] == "base.yaml"
    assert re.match("tiny", make_sweep(document, tmp_path).arch.data["name"])
