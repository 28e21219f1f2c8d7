"""Labels and variables: short names that stay distinct, fields by their dotted path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.explore.labels import axis_texts, design_label, value_text, workload_label
from hwsim.explore.space import Axis, Space
from hwsim.explore.values import base_number, expand_axis
from hwsim.explore.variables import Fields, dotted_leaves


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        (16, "array.rows", "16"),
        (0.5, "x", "0.5"),
        (True, "x", "True"),
        (None, "x", "none"),
        ("fp16", "x", "fp16"),
        ("28nm", "technology", "28nm"),
        ("512 KiB", "x", "512KiB"),
        ("1.5 MiB", "x", "1.5MiB"),
        ("1000 B", "x", "1000B"),
        ("1000 KiB", "x", "1000KiB"),
        ("1023 KiB", "x", "1023KiB"),
        ("1048577 B", "x", "1048577B"),  # 1 MiB and a byte: no rounded name
        ("1 GHz", "clock", "1GHz"),
        ("25.6 GB/s", "dram.bandwidth", "25.6GB/s"),
        (524288, "memories.weights.size", "512KiB"),
        (524288, "memories.weights.banks", "524288"),
        (True, "memories.weights.size", "True"),
        ({"family": "mac", "format": "fp16"}, "pe", "mac fp16"),
        ({"format": "fp16", "family": "mac"}, "pe", "mac fp16"),
        ({"family": "mac", "w_format": "int4", "a_format": "int8"}, "pe", "mac int4/int8"),
        ({"family": "mac", "w_format": "int4"}, "pe", "mac int4"),
        ({"family": "mac", "a_format": "int8"}, "pe", "mac int8"),
        ({"family": "lut", "weight_bits": 2}, "pe", "lut weight_bits=2"),
        ({"family": "mac", "lanes": 4, "sub": {"depth": 3}}, "pe", "mac lanes=4 sub=depth=3"),
        ({"size": "64 KiB"}, "memories.weights", "size=64KiB"),
        ({"size": 65536}, "memories.weights", "size=64KiB"),
        ({}, "pe", "{}"),
    ],
)
def test_value_text(value, path, expected):
    assert value_text(value, path) == expected


@given(st.integers(1, 2**45))
def test_a_size_is_named_to_the_byte_and_never_twice(count):
    text = value_text(f"{count} B")
    assert " " not in text
    assert base_number(text) == count


class TestAxisTexts:
    def test_short_texts_where_they_differ(self):
        assert axis_texts("pe", [{"family": "a"}, {"family": "b"}]) == ["a", "b"]

    def test_in_full_where_short_ones_would_be_equal(self):
        values = ({"family": "a", "format": "b"}, {"family": "a b"})
        assert axis_texts("pe", values) == ['{"family":"a","format":"b"}', '{"family":"a b"}']

    def test_a_zipped_path_keeps_short_texts_for_repeated_values(self):
        assert axis_texts("array.rows", [16, 16, 32]) == ["16", "16", "32"]
        assert axis_texts("m.size", ["64 KiB", 65536, "1 MiB"]) == ["64KiB", "64KiB", "1MiB"]


class TestDesignLabel:
    def label(self, values, tied=()):
        texts = {path: value_text(value, path) for path, value in values.items() if path not in tied}
        return design_label(values, texts)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({}, ""),
            ({"array.rows": 16}, "rows=16"),
            ({"array.rows": 16, "array.cols": 32}, "16x32"),
            ({"array.cols": 32, "array.rows": 16}, "16x32"),
            ({"pe.lanes": 4}, "lanes=4"),
            ({"technology": "28nm"}, "28nm"),
            ({"clock": "1 GHz"}, "1GHz"),
            ({"memories.weights.size": "64 KiB"}, "64KiB"),
            ({"memories.weights.size": 65536}, "64KiB"),
            ({"memories.weights.size": None}, "none"),
            ({"memories.weights.size": "64 KiB", "memories.outputs.size": "1 MiB"}, "weights=64KiB outputs=1MiB"),
            ({"memories.weights.size": "64 KiB", "clock": "1 GHz"}, "64KiB 1GHz"),
            ({"technology": "28nm", "array.dataflow": "os"}, "technology=28nm dataflow=os"),
            ({"a.x": 1, "b.x": 2}, "a.x=1 b.x=2"),
            ({"x": 1, "a.x": 2}, "x=1 a.x=2"),
            ({"pe.format": "int8", "pe.lanes": 2}, "int8 lanes=2"),
            ({"clock": "1 GHz", "pe": {"family": "mac", "format": "fp16"}}, "mac fp16 1GHz"),
            (
                {"array.rows": 4, "memories.weights.size": "64 KiB", "pe": {"family": "mac"}, "array.cols": 8},
                "mac 4x8 64KiB",
            ),
        ],
    )
    def test_label(self, values, expected):
        assert self.label(values) == expected

    def test_a_tied_path_shows_only_in_the_shape(self):
        assert self.label({"array.rows": 16, "array.cols": 16}, tied=["array.cols"]) == "16x16"
        tied = {"memories.weights.size": "64 KiB", "memories.activations.size": "64 KiB"}
        assert self.label(tied, tied=["memories.activations.size"]) == "64KiB"


#: Axes as sweeps have them, mixed kinds included.
AXES = {
    "array.rows": [4, 8, 16],
    "array.cols": [4, 8],
    "pe": [{"family": "mac", "format": "fp16"}, {"family": "mac", "format": "int8"}, {"family": "lut", "bits": 2}],
    "pe.lanes": [1, 2, None],
    "memories.weights.size": ["64 KiB", 131072, "1 MiB"],
    "memories.activations.size": ["64 KiB", "96 KiB"],
    "clock": ["500 MHz", "1 GHz"],
    "technology": ["28nm", "7nm"],
    "array.dataflow": ["ws", "os"],
    "dram.bandwidth": ["25.6 GB/s", 12.5],
    "x.size": [1, 2],
}


@given(st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=5))
def test_no_two_designs_of_a_space_share_a_label(paths):
    space = Space([Axis((path,), tuple((v,) for v in expand_axis(AXES[path]))) for path in paths])
    labels = [point.label for point in space]
    assert len(set(labels)) == len(labels)


class TestWorkloadLabel:
    @pytest.mark.parametrize(
        ("workload", "expected"),
        [
            ("runs/chat.yaml", "chat"),
            ({"model": "llama-2-7b"}, "llama-2-7b"),
            ({"model": "llama-2-7b", "phase": "decode", "context": 2048}, "llama-2-7b decode context=2048"),
            ({"batch": 2, "phase": "prefill", "model": "m"}, "m prefill batch=2"),
            ({"trace": "traces/small.csv", "policy": "w4a16"}, "small policy=w4a16"),
            ({"config": "models/x.json"}, "x"),
            ({"model": "m", "name": "chat", "batch": 3}, "chat"),
            ({}, ""),
        ],
    )
    def test_label(self, workload, expected):
        assert workload_label(workload) == expected

    def test_the_workload_is_not_changed(self):
        workload = {"model": "m", "phase": "decode"}
        workload_label(workload)
        assert workload == {"model": "m", "phase": "decode"}


DATA = {
    "clock": "1 GHz",
    "pe": {"family": "mac", "format": "fp16", "size": "2 B"},
    "levels": [{"size": "1 KiB"}, {"size": "2 KiB"}],
    "banks": 4,
}


class TestVariables:
    def test_every_field_has_a_dotted_path_mappings_included(self):
        assert list(dotted_leaves(DATA)) == [
            "clock",
            "pe",
            "pe.family",
            "pe.format",
            "pe.size",
            "levels",
            "levels.0",
            "levels.0.size",
            "levels.1",
            "levels.1.size",
            "banks",
        ]

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("clock", 10**9),
            ("banks", 4),
            ("pe", "mac fp16 size=2B"),
            ("pe.format", "fp16"),
            ("pe.size", 2),
            ("levels.1.size", 2048),
            ("levels.2.size", None),
            ("levels.x", None),
            ("levels.-1", None),
            ("pe.nothing", None),
            ("clock.part", None),
            ("nothing.at.all", None),
        ],
    )
    def test_values_are_in_base_units_and_none_where_a_design_lacks_the_field(self, name, expected):
        assert Fields(DATA)[name] == expected

    def test_it_is_a_mapping_of_all_paths(self):
        fields = Fields(DATA)
        assert list(fields) == list(dotted_leaves(DATA))
        assert len(fields) == 11
        assert dict(fields)["levels.0.size"] == 1024
