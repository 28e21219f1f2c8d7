"""JSON Schemas: committed as printed, true of every example, and able to say no."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hwsim.cli.main import run_command
from hwsim.cli.schema import KINDS, schema_text
from hwsim.cli.validate import models
from hwsim.spec.bind import bind
from hwsim.spec.document import Document, load_document
from hwsim.spec.errors import SpecError

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas"
HIERARCHIES = ROOT / "hwsim" / "data" / "hierarchies"
DEVICES = ROOT / "hwsim" / "data" / "fpga" / "devices"
FOLDERS = {"arch": ROOT / "arch_configs", "sweep": ROOT / "sweeps"}
EXAMPLES = [(kind, path) for kind, folder in FOLDERS.items() for path in sorted(folder.rglob("*.yaml"))]
IDS = [path.stem for _, path in EXAMPLES]

FORMAT = {"description": "wide", "fields": {"exponent_bits": 5, "mantissa_bits": 2, "nan": "highest"}}
WORKLOAD = {"model": "llama-2-7b", "phase": "decode", "context": 2048, "policy": {"preset": "w4a16"}}


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_text(kind)))


def data_of(path: Path) -> dict[str, Any]:
    return load_document(path, inherit=False).data


def example(kind: str) -> dict[str, Any]:
    if kind == "hierarchy":
        return copy.deepcopy(data_of(HIERARCHIES / "edge8.yaml"))
    if kind == "device":
        return copy.deepcopy(data_of(DEVICES / "u280.yaml"))
    if kind in ("workload", "format"):
        return copy.deepcopy({"workload": WORKLOAD, "format": FORMAT}[kind])
    return copy.deepcopy(data_of(next(path for k, path in EXAMPLES if k == kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_committed_files_are_what_the_command_prints(kind: str, tmp_path: Path, capsys: Any) -> None:
    assert run_command(["schema", kind]) == 0
    printed = capsys.readouterr().out
    committed = (SCHEMAS / f"{kind}.json").read_text(encoding="utf-8")
    assert committed == printed, f"run: hwsim schema {kind} -o schemas/{kind}.json"
    target = tmp_path / "out.json"
    assert run_command(["schema", kind, "-o", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == printed
    assert capsys.readouterr().out == ""


def test_there_is_one_file_per_kind() -> None:
    assert sorted(path.stem for path in SCHEMAS.iterdir()) == sorted(KINDS) == sorted(models())


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid_in_their_dialect(kind: str) -> None:
    schema = json.loads(schema_text(kind))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"hwsim:{kind}"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_offer_every_field(kind: str) -> None:
    model = models()[kind]
    assert set(json.loads(schema_text(kind))["properties"]) == {*model.model_fields, "base"}


@pytest.mark.parametrize(("kind", "path"), EXAMPLES, ids=IDS)
def test_examples_fit_their_schema(kind: str, path: Path) -> None:
    assert [e.message for e in validator(kind).iter_errors(data_of(path))] == []


@pytest.mark.parametrize(("kind", "path"), EXAMPLES, ids=IDS)
def test_examples_name_the_schema_that_is_there(kind: str, path: Path) -> None:
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
    assert named is not None, "the first line tells editors which schema to use"
    assert (path.parent / named[1]).resolve() == (SCHEMAS / f"{kind}.json").resolve()


@pytest.mark.parametrize("path", sorted(HIERARCHIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_hierarchies_fit_their_schema(path: Path) -> None:
    assert [e.message for e in validator("hierarchy").iter_errors(data_of(path))] == []


def test_workloads_fit_their_schema() -> None:
    for data in (WORKLOAD, {"trace": "t.csv"}, {"config": "c.json", "overrides": [{"match": "x", "w_format": "int8"}]}):
        assert validator("workload").is_valid(data)


def test_a_file_with_a_base_may_leave_out_what_its_base_gives() -> None:
    assert validator("arch").is_valid({"base": "other.yaml", "array": {"rows": 8}})
    assert not validator("arch").is_valid({"array": {"rows": 8}})
    assert not validator("arch").is_valid({"base": "other.yaml", "array": {"row": 8}})


@pytest.mark.parametrize("size", [65536, "64 KiB", "64KiB", "1e3 B", "+4 B", "0.5 MiB", "18 Kibit"])
def test_sizes_in_all_their_spellings(size: Any) -> None:
    data = example("arch")
    data["memories"]["weights"]["size"] = size
    assert validator("arch").is_valid(data)


def test_the_short_and_the_long_form_of_a_technology() -> None:
    for technology in ("28nm", {"name": "28nm"}, {"name": "28nm", "vdd": "0.8 V", "sram_device": "lstp"}):
        assert validator("arch").is_valid({**example("arch"), "technology": technology})


#: Kind, dotted path, value: each is refused by the schema, and by hwsim itself.
WRONG = [
    ("arch", "colour", "red"),
    ("arch", "array.row", 4),
    ("arch", "memories.weights.sise", "64 KiB"),
    ("arch", "array.rows", "many"),
    ("arch", "array.rows", 0),
    ("arch", "array.rows", 16.5),
    ("arch", "array.rows", None),
    ("arch", "name", 42),
    ("arch", "name", ""),
    ("arch", "clock", 500),
    ("arch", "clock", "500 Mhz"),
    ("arch", "memories.weights.size", "64 KHz"),
    ("arch", "memories.weights.size", -1),
    ("arch", "memories.weights.double_buffered", "yes"),
    ("arch", "memories.weights", "64 KiB"),
    ("arch", "dram", "hbm2"),
    ("arch", "dram.bandwidth", "1 GB"),
    ("arch", "pe", "float_mac"),
    ("arch", "technology", 28),
    ("arch", "technology", {"name": "28nm", "node": 28}),
    ("arch", "mapper", {"objective": "speed"}),
    ("format", "fields.exponent_bits", 9),
    ("format", "fields.mantisa_bits", 2),
    ("format", "fields.nan", "all"),
    ("format", "values", [1]),
    ("workload", "batch", 0),
    ("workload", "phase", "prefil"),
    ("workload", "modle", "x"),
    ("workload", "overrides", ["lm_head"]),
    ("sweep", "workloads", []),
    ("sweep", "objectives", {"energy_mj": "smallest"}),
    ("sweep", "objectives", {}),
    ("sweep", "grid", {"array.rows": 16}),
    ("sweep", "grid", {"array.rows": {"geometric": [1, 2]}}),
    ("sweep", "grid", {"array.rows": {"logarithmic": [1, 2, 3]}}),
    ("sweep", "constraints", "area_mm2 <= 3"),
    ("sweep", "search", "exhaustive"),
    ("sweep", "latin_hypercube", {"seed": 1}),
    ("hierarchy", "levels", []),
    ("hierarchy", "source", ""),
    ("hierarchy", "mac_energy", "0.25 pJ/bit"),
    ("hierarchy", "widths", {"a": 0}),
    ("hierarchy", "mapper", {"objective": "speed"}),
    ("hierarchy", "levels", [{"name": "DRAM", "energy": "1 pJ"}]),
]


@pytest.mark.parametrize(("kind", "path", "value"), WRONG, ids=[f"{k}-{p}-{v}" for k, p, v in WRONG])
def test_schemas_refuse_what_hwsim_refuses(kind: str, path: str, value: Any) -> None:
    data = example(kind)
    *parents, last = path.split(".")
    inner = data
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    assert not validator(kind).is_valid(data)
    with pytest.raises(SpecError):
        bind(Document("python", data), models()[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_required_of_hwsim_is_required_by_the_schema(kind: str) -> None:
    data = example(kind)
    for key in data:
        without = {k: v for k, v in data.items() if k != key}
        try:
            bind(Document("python", without), models()[kind])
        except SpecError as error:
            if "missing field" in str(error):
                assert not validator(kind).is_valid(without), key
        else:
            assert validator(kind).is_valid(without), key
