"""Keys: anything that a result depends on changes them, nothing else does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import hwsim
from hwsim.explore import identity
from hwsim.explore.identity import MODEL_PARTS, Identity, model_revision, sweep_identity
from tests.support.explore import ARCH, SWEEP, make

ONE = """\
name: one
base: base.yaml
workloads: [{model: m, batch: 1}]
grid: {array.rows: [4]}
"""


def keys(sweep, revision="r1"):
    own = Identity(sweep, revision)
    return [own.key(point) for point in sweep.space]


def key(folder, text=ONE, arch=ARCH, revision="r1"):
    (found,) = keys(make(folder, text, arch), revision)
    return found


@pytest.fixture
def first(tmp_path):
    return key(tmp_path)


class TestWhatChangesAKey:
    def test_every_point_of_a_sweep_has_its_own(self, tmp_path):
        found = keys(make(tmp_path))
        assert len(set(found)) == len(found) == 12
        assert all(re.fullmatch("[0-9a-f]{64}", text) for text in found)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("array.rows: [4]", "array.rows: [5]"),
            ("array.rows: [4]", "array.cols: [4]"),
            ("array.rows: [4]", "array.rows: [4], clock: [2 GHz]"),
            ("array.rows: [4]", "pe.extra: [1]"),
            ("model: m", "model: n"),
            ("batch: 1", "batch: 2"),
            ("batch: 1", "batch: true"),
            (", batch: 1", ""),
            ("name: one", "name: one\nengine: pe"),
        ],
    )
    def test_a_change_of_the_sweep_file(self, tmp_path, first, old, new):
        assert old in ONE
        assert key(tmp_path, ONE.replace(old, new)) != first

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("cols: 8", "cols: 16"),
            ("1 GHz", "1.1 GHz"),
            ("28nm", "7nm"),
            ("lanes: 2", "lanes: 2, depth: 1"),
            ("  activations: {size: 32 KiB}\n", ""),
            ("name: tiny", "name: other"),  # reasons of failures name the architecture
        ],
    )
    def test_a_change_of_the_architecture(self, tmp_path, first, old, new):
        assert old in ARCH
        assert key(tmp_path, arch=ARCH.replace(old, new)) != first

    def test_another_revision_of_the_model(self, tmp_path, first):
        assert key(tmp_path, revision="r2") != first


class TestWhatDoesNotChangeAKey:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("name: one", "name: two"),
            ("name: one", "name: one\ndescription: the same again"),
            ("name: one", "name: one\nconstraints: [area_mm2 < 3]"),
            ("name: one", "name: one\nobjectives: {area_mm2: min}"),
            ("name: one", "name: one\nengine: fast"),
            ("model: m, batch: 1", "batch: 1.0, model: m"),
            ("array.rows: [4]", "array.rows: [4.0]"),
            ("grid: {array.rows: [4]}", "zip: {array.rows: [4]}"),
            ("grid: {array.rows: [4]}", ""),  # the base has four rows
            ("array.rows: [4]", "clock: [1000 MHz]"),
            ("array.rows: [4]", "pe: [{lanes: 2, format: int8, family: mac}]"),
            ("name: one", "# a comment\nname:   one"),
        ],
    )
    def test_a_change_of_the_sweep_file(self, tmp_path, first, old, new):
        assert old in ONE
        assert key(tmp_path, ONE.replace(old, new)) == first

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("64 KiB", "0.0625 MiB"),
            ("64 KiB", "65536 B"),
            ("1 GHz", "1000 MHz"),
            ("rows: 4, cols: 8", "cols: 8, rows: 4"),
            ("name: tiny", "name: tiny\ndescription: small"),
            ("name: tiny", "# a comment\nname: tiny"),
        ],
    )
    def test_a_change_of_the_architecture(self, tmp_path, first, old, new):
        assert old in ARCH
        assert key(tmp_path, arch=ARCH.replace(old, new)) == first

    def test_the_folder(self, tmp_path, first):
        assert key(tmp_path / "elsewhere") == first

    def test_a_wider_sweep_finds_the_keys_of_a_narrower_one(self, tmp_path):
        narrow = keys(make(tmp_path, SWEEP))
        wide = keys(make(tmp_path, SWEEP.replace("[4, 8, 16]", "[2, 16, 8, 4]") + "zip: {clock: [2 GHz, 1 GHz]}\n"))
        assert set(narrow) < set(wide)
        assert len(wide) == 32


class TestFiles:
    """The content of every file that a workload or the architecture names."""

    def key(self, folder, workload, technology="28nm"):
        text = f"name: one\nbase: base.yaml\nworkloads: [{workload}]\n"
        return key(folder, text, ARCH.replace("28nm", technology))

    @pytest.mark.parametrize(
        "workload", ["w.csv", "{trace: w.csv}", "{trace: w.csv, policy: w4a16}", "{a: [{b: w.csv}]}"]
    )
    def test_content_counts(self, tmp_path, workload):
        (tmp_path / "w.csv").write_text("one")
        before = self.key(tmp_path, workload)
        assert self.key(tmp_path, workload) == before
        (tmp_path / "w.csv").write_text("two")
        after = self.key(tmp_path, workload)
        assert after != before
        (tmp_path / "w.csv").unlink()
        assert self.key(tmp_path, workload) not in (before, after)

    def test_a_name_without_a_suffix_is_a_file_too(self, tmp_path):
        (tmp_path / "trace").write_text("one")
        before = self.key(tmp_path, "{trace: trace}")
        (tmp_path / "trace").write_text("two")
        assert self.key(tmp_path, "{trace: trace}") != before

    def test_the_config_of_a_model_folder_counts(self, tmp_path):
        (tmp_path / "models" / "m").mkdir(parents=True)
        config = tmp_path / "models" / "m" / "config.json"
        config.write_text("{}")
        before = self.key(tmp_path, "models/m")
        config.write_text('{"layers": 2}')
        assert self.key(tmp_path, "models/m") != before

    def test_a_file_that_the_architecture_names(self, tmp_path):
        (tmp_path / "mine.yaml").write_text("vdd: 0.9 V\n")
        before = self.key(tmp_path, "w.csv", "mine.yaml")
        (tmp_path / "mine.yaml").write_text("vdd: 0.8 V\n")
        assert self.key(tmp_path, "w.csv", "mine.yaml") != before

    def test_a_swept_file(self, tmp_path):
        (tmp_path / "a.yaml").write_text("x: 1\n")
        (tmp_path / "b.yaml").write_text("x: 2\n")
        text = "name: one\nbase: base.yaml\nworkloads: [w.csv]\ngrid: {technology: [a.yaml, b.yaml]}\n"
        before = keys(make(tmp_path, text))
        (tmp_path / "b.yaml").write_text("x: 3\n")
        after = keys(make(tmp_path, text))
        assert before[0] == after[0]
        assert before[1] != after[1]

    def test_files_that_a_yaml_file_names_and_its_bases(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "w.yaml").write_text("base: parent.yaml\nbatch: 1\n")
        (tmp_path / "sub" / "parent.yaml").write_text("trace: t.csv\nseq_len: 8\n")
        (tmp_path / "sub" / "t.csv").write_text("one")
        found = [self.key(tmp_path, "sub/w.yaml")]
        (tmp_path / "sub" / "t.csv").write_text("two")
        found.append(self.key(tmp_path, "sub/w.yaml"))
        (tmp_path / "sub" / "parent.yaml").write_text("trace: t.csv\nseq_len: 16\n")
        found.append(self.key(tmp_path, "sub/w.yaml"))
        (tmp_path / "sub" / "w.yaml").write_text("base: parent.yaml\nbatch: 2\n")
        found.append(self.key(tmp_path, "sub/w.yaml"))
        assert len(set(found)) == 4

    def test_comments_and_layout_of_a_yaml_file_do_not_count(self, tmp_path):
        (tmp_path / "w.yaml").write_text("model: m\nbatch: 1\n")
        before = self.key(tmp_path, "w.yaml")
        (tmp_path / "w.yaml").write_text("# again\n{batch: 1, model: m}\n")
        assert self.key(tmp_path, "w.yaml") == before

    def test_yaml_files_that_name_each_other(self, tmp_path):
        (tmp_path / "a.yaml").write_text("next: b.yaml\n")
        (tmp_path / "b.yaml").write_text("next: a.yaml\nx: 1\n")
        before = self.key(tmp_path, "a.yaml")
        (tmp_path / "b.yaml").write_text("next: a.yaml\nx: 2\n")
        assert self.key(tmp_path, "a.yaml") != before

    def test_a_yaml_file_that_is_none_counts_by_its_bytes(self, tmp_path):
        (tmp_path / "w.yaml").write_text("[1\n")
        before = self.key(tmp_path, "w.yaml")
        (tmp_path / "w.yaml").write_text("[2\n")
        assert self.key(tmp_path, "w.yaml") != before

    @pytest.mark.parametrize("workload", [".", "..", "'" + "x" * 5000 + "'", '"a\\0b"', "no/such/file.csv", "''"])
    def test_text_that_names_no_file(self, tmp_path, workload):
        assert self.key(tmp_path, workload) == self.key(tmp_path, workload)


class TestBasis:
    """What all points of a run share."""

    def basis(self, folder, text=ONE, arch=ARCH, revision="r1"):
        return Identity(make(folder, text, arch), revision).basis

    def test_it_is_the_same_for_every_part_of_a_run(self, tmp_path):
        assert self.basis(tmp_path) == self.basis(tmp_path / "other")

    def test_revision_and_files_count(self, tmp_path):
        text = ONE.replace("{model: m, batch: 1}", "w.csv")
        (tmp_path / "w.csv").write_text("one")
        before = self.basis(tmp_path, text)
        assert self.basis(tmp_path, text, revision="r2") != before
        (tmp_path / "w.csv").write_text("two")
        assert self.basis(tmp_path, text) != before


class TestSweepIdentity:
    def test_it_does_not_depend_on_what_is_judged_afterwards(self, tmp_path):
        first = sweep_identity(make(tmp_path))
        more = SWEEP + "constraints: [area_mm2 < 3]\ndescription: x\n"
        assert sweep_identity(make(tmp_path, more)) == first
        assert (
            sweep_identity(make(tmp_path, SWEEP.replace("{energy_mj: min, latency_ms: min}", "{area_mm2: min}")))
            == first
        )

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("tiny-sweep", "other"),
            ("[4, 8, 16]", "[4, 8]"),
            ("[4, 8, 16]", "[4, 16, 8]"),
            ("  - {model: b}\n", ""),
            ("objectives", "engine: pe\nobjectives"),
            ("objectives", "tie: {array.cols: array.rows}\nobjectives"),
            ("objectives", "latin_hypercube: {samples: 3}\nobjectives"),
            ("objectives", "latin_hypercube: {samples: 3, seed: 1}\nobjectives"),
        ],
    )
    def test_it_changes_with_what_is_enumerated(self, tmp_path, old, new):
        assert sweep_identity(make(tmp_path, SWEEP.replace(old, new))) != sweep_identity(make(tmp_path))


class TestRevision:
    @pytest.fixture
    def copied(self, tmp_path, monkeypatch):
        """Return the root of a small copy of the package, and what its revision is."""
        root = tmp_path / "hwsim"
        for part in ("explore/identity.py", "explore/evaluation.py", "spec/units.py", "data/models/zoo.csv"):
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(hwsim.__file__).parent / part, root / part)
        monkeypatch.setattr(identity, "__file__", str(root / "explore" / "identity.py"))

        def revision():
            model_revision.cache_clear()
            return model_revision()

        yield root, revision
        model_revision.cache_clear()

    def test_it_is_sixteen_digits_and_steady(self):
        assert re.fullmatch("[0-9a-f]{16}", model_revision())
        assert model_revision() == model_revision()

    @pytest.mark.parametrize("part", ["spec/units.py", "data/models/zoo.csv", "explore/evaluation.py"])
    def test_code_and_data_count(self, copied, part):
        root, revision = copied
        before = revision()
        with (root / part).open("a") as file:
            file.write("\n")
        changed = revision()
        assert changed != before
        (root / part).rename((root / part).with_name("renamed.py"))
        assert revision() not in (before, changed)

    @pytest.mark.parametrize("part", ["explore/identity.py", "cli/new.py", "spec/__pycache__/units.cpython-311.pyc"])
    def test_what_cannot_change_a_result_does_not(self, copied, part):
        root, revision = copied
        before = revision()
        (root / part).parent.mkdir(exist_ok=True)
        (root / part).write_bytes(b"x")
        assert revision() == before

    def test_every_part_exists(self):
        assert [part for part in MODEL_PARTS if not (Path(hwsim.__file__).parent / part).exists()] == []

    def test_it_is_the_default(self, tmp_path):
        sweep = make(tmp_path)
        assert keys(sweep, None) == keys(sweep, model_revision())
