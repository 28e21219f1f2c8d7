"""Documents: YAML 1.2 values, the place of each, bases, overrides, and every way a file can be wrong."""

from __future__ import annotations

import json
import math
import os
import pickle
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.spec import compose
from hwsim.spec.compose import MAX_DEPTH, Mark
from hwsim.spec.document import Document, dotted, load_document, parse_document, plain, resolve_base
from hwsim.spec.errors import SpecError, UsageError
from hwsim.spec.scalars import resolve_scalar

ARCH = """\
name: small
clock: 500 MHz
array: {rows: 4, cols: 8}
memories:
  weights:
    size: 256 KiB
    banks: 2
workloads:
  - {model: a, seq_len: 16}
  - model: b
"""


def fails(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_document(text, "f.yaml")
    return caught.value


@pytest.fixture
def write(tmp_path):
    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


# Examples of the YAML 1.2.2 specification, section 10.3.2, and where YAML 1.1 differs.
SCALARS = [
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("nULL", "nULL"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("false", False),
    ("False", False),
    ("FALSE", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("n", "n"),
    ("0", 0),
    ("-19", -19),
    ("+12", 12),
    ("010", 10),
    ("-0", 0),
    ("0o7", 7),
    ("0o17", 15),
    ("0o8", "0o8"),
    ("0x3A", 58),
    ("0x1F", 31),
    ("0xG", "0xG"),
    ("-0x1", "-0x1"),
    ("0b1", "0b1"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("2001-12-14", "2001-12-14"),
    ("0.", 0.0),
    ("-0.0", -0.0),
    (".5", 0.5),
    ("+12e03", 12000.0),
    ("-2E+05", -200000.0),
    ("1e9", 1e9),
    ("1e-3", 1e-3),
    ("1.5e3", 1500.0),
    ("1.e3", 1000.0),
    ("1e", "1e"),
    ("e3", "e3"),
    (".", "."),
    ("-", "-"),
    ("+", "+"),
    (".e1", ".e1"),
    ("1.2.3", "1.2.3"),
    (".inf", math.inf),
    ("-.Inf", -math.inf),
    ("+.INF", math.inf),
    (".iNF", ".iNF"),
    ("inf", "inf"),
    ("nan", "nan"),
    ("1 KiB", "1 KiB"),
    ("28nm", "28nm"),
    ("\u0663", "\u0663"),
    ("1\n", "1\n"),
    ("fp8_e4m3", "fp8_e4m3"),
    ("<<", "<<"),
]


class TestScalars:
    @pytest.mark.parametrize(("text", "value"), SCALARS, ids=[repr(t) for t, _ in SCALARS])
    def test_core_schema(self, text, value):
        found = resolve_scalar(text)
        assert found == value
        assert type(found) is type(value)

    def test_nan(self):
        assert all(math.isnan(resolve_scalar(t)) for t in (".nan", ".NaN", ".NAN"))

    def test_quoted_scalars_are_text(self):
        data = parse_document("a: '1'\nb: \"true\"\nc: !!str 5\nd: |\n  1\n").data
        assert data == {"a": "1", "b": "true", "c": "5", "d": "1\n"}

    def test_tags_of_the_core_schema(self):
        data = parse_document("a: !!int 5\nb: !!float 5\nc: !!null ~\nd: !!bool true\ne: !!map {}\nf: !!seq []\n").data
        assert data == {"a": 5, "b": 5.0, "c": None, "d": True, "e": {}, "f": []}
        assert type(data["b"]) is float

    @pytest.mark.parametrize(
        "text",
        ["a: !!int x", "a: !!bool 1", "a: !x 1", "a: !!python/object:os.system ls", "a: !!set {x}", "a: !!binary aGk="],
    )
    def test_other_tags_are_refused(self, text):
        (problem,) = fails(text).problems
        assert re.search("tag .* (not supported|does not fit)", problem.message)
        assert (problem.line, problem.column, problem.path) == (1, 4, "a")

    def test_integers_beyond_what_python_converts(self):
        (problem,) = fails("a: 1\nb: " + "9" * 5000).problems
        assert problem.message == "integer of 5000 digits is too long"
        assert problem.line == 2

    @given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()))
    def test_json_scalars_mean_the_same(self, value):
        found = resolve_scalar(json.dumps(value))
        assert found == value
        assert type(found) is type(value)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


class TestValues:
    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(TEXT, JSON, max_size=4))
    def test_json_is_yaml(self, data):
        # Unassigned code points such as U+1FFFE are no YAML text; PyYAML refuses them.
        text = json.dumps(data, ensure_ascii=False)
        try:
            found = parse_document(text).data
        except SpecError as error:
            assert "is not allowed in YAML" in str(error)
        else:
            assert found == data

    @given(st.dictionaries(st.sampled_from("abcd"), JSON, min_size=1, max_size=4))
    def test_every_value_has_a_place_that_holds_it(self, data):
        text = json.dumps(data, indent=1)
        document = parse_document(text)

        def walk(value, path):
            mark = document.mark(path)
            rest = "\n".join(text.splitlines()[mark.line - 1 :])[mark.column - 1 :]
            found, _ = json.JSONDecoder().raw_decode(rest)
            assert found == value
            parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for key, part in parts:
                walk(part, (*path, key))

        walk(data, ())

    def test_json_escapes_of_rare_characters(self):
        assert parse_document('{"\\ud83d\\ude00": "\\u00e9\\ud83d\\ude00"}').data == {"\U0001f600": "é\U0001f600"}
        (problem,) = fails('a: "x\\ud83d"').problems
        assert problem.message == "escaped character is half of a surrogate pair"

    def test_anchors_and_aliases(self):
        document = parse_document("a: &x {r: 1}\nb: *x\n")
        assert document.data == {"a": {"r": 1}, "b": {"r": 1}}
        assert document.mark("b.r")[1:3] == (1, 11)

    def test_merge_keys(self):
        document = parse_document("x: &x {r: 1, c: 2}\ny: &y {r: 3, d: 4}\nz: {<<: [*x, *y], c: 5}\nw:\n  <<: *y\n")
        assert document.data["z"] == {"c": 5, "r": 1, "d": 4}
        assert document.data["w"] == {"r": 3, "d": 4}
        assert document.mark("z.c").line == 3
        assert document.mark("z.d", key=True)[1:3] == (2, 14)

    def test_a_quoted_merge_key_is_a_key(self):
        assert parse_document("a: {'<<': 1}").data == {"a": {"<<": 1}}

    def test_keys_may_be_any_scalar(self):
        document = parse_document("7: a\n2.5: b\ntrue: c\n~: d\n")
        assert document.data == {7: "a", 2.5: "b", True: "c", None: "d"}
        assert document.mark("7").line == 1

    def test_byte_order_mark_and_windows_line_ends(self, write):
        path = write("f.yaml", "\ufeffa: 1\r\nb:\r\n  c: 2\r\n")
        document = load_document(path)
        assert document.data == {"a": 1, "b": {"c": 2}}
        assert document.mark("b.c")[1:] == (3, 6, "  c: 2")

    def test_the_slow_loader_reads_the_same(self, monkeypatch):
        fast = parse_document(ARCH)
        monkeypatch.setattr(compose, "FastLoader", compose.PythonLoader)
        slow = parse_document(ARCH)
        assert slow == fast


class TestMarks:
    document = parse_document(ARCH, "f.yaml")

    @pytest.mark.parametrize(
        ("path", "value", "key"),
        [
            ("name", (1, 7), (1, 1)),
            ("array", (3, 8), (3, 1)),
            ("array.cols", (3, 24), (3, 18)),
            ("memories.weights.size", (6, 11), (6, 5)),
            (("memories", "weights", "banks"), (7, 12), (7, 5)),
            ("workloads.0", (9, 5), (9, 5)),
            ("workloads.0.seq_len", (9, 25), (9, 16)),
            (("workloads", 1, "model"), (10, 12), (10, 5)),
            ("", (1, 1), (1, 1)),
        ],
    )
    def test_place_of_value_and_key(self, path, value, key):
        assert self.document.mark(path)[1:3] == value
        assert self.document.mark(path, key=True)[1:3] == key
        assert self.document.mark(path).file == "f.yaml"

    @pytest.mark.parametrize(
        ("path", "place"),
        [("array.lanes", (3, 1)), ("memories.weights.port.x", (5, 3)), ("workloads.7", (8, 1)), ("pe", (1, 1))],
    )
    def test_a_missing_path_is_placed_at_its_parents_name(self, path, place):
        assert self.document.mark(path)[1:3] == place

    def test_problem(self):
        assert str(self.document.problem("array.cols", "must be even")).splitlines() == [
            "f.yaml:3:24: array.cols: must be even",
            "    array: {rows: 4, cols: 8}",
            "                           ^",
        ]

    def test_mark_as_text(self):
        assert str(self.document.mark("name")) == "f.yaml:1:7"
        assert str(Mark("--set")) == "--set"

    def test_get(self):
        assert self.document.get("workloads.0.model") == "a"
        assert self.document.get("workloads.9.model") is None
        assert self.document.get("array.x", 5) == 5
        assert self.document.get("name.x", 5) == 5

    def test_keys_with_dots(self):
        document = parse_document("grid:\n  array.rows: [1]\n  pe: x\n")
        assert document.mark("grid.array.rows")[1:3] == (2, 15)
        assert document.mark("grid.array.rows.0")[1:3] == (2, 16)
        assert document.with_overrides({"grid.array.rows": 2}).data == {"grid": {"array.rows": 2, "pe": "x"}}

    def test_pickles(self):
        again = pickle.loads(pickle.dumps(self.document))
        assert again == self.document
        assert again.mark("array.cols") == self.document.mark("array.cols")


class TestBlame:
    document = parse_document(ARCH, "f.yaml")

    def test_gives_a_usage_error_its_place(self):
        with pytest.raises(SpecError, match=r"f.yaml:3:8: array: no such thing"), self.document.blame("array"):
            raise UsageError("no such thing")

    def test_leaves_placed_and_other_errors_alone(self):
        placed = SpecError([self.document.problem("name", "x")])
        for error in (placed, KeyError("x")):
            with pytest.raises(type(error)) as caught, self.document.blame("array"):
                raise error
            assert caught.value is error

    def test_nothing_happens_without_an_error(self):
        with self.document.blame("array"):
            pass

    @pytest.mark.parametrize(
        ("path", "message", "place"),
        [
            ("", "memories.weights.size: too small", "f.yaml:6:11: memories.weights.size: too small"),
            ("memories", "weights.size: too small", "f.yaml:6:11: memories.weights.size: too small"),
            ("", "workloads.1.model: unknown", "f.yaml:10:12: workloads.1.model: unknown"),
            ("", "array.lanes: give it", "f.yaml:3:1: array.lanes: give it"),
            ("array", "array: no such thing", "f.yaml:3:8: array: no such thing"),
            ("array.rows", "array.rows: too many", "f.yaml:3:15: array.rows: too many"),
            ("array", "note: this is no field", "f.yaml:3:8: array: note: this is no field"),
            ("name", "rows: a scalar has none", "f.yaml:1:7: name: rows: a scalar has none"),
            ("", "nothing fits", "f.yaml: nothing fits"),
        ],
    )
    def test_a_message_that_begins_with_a_field_is_reported_there(self, path, message, place):
        with pytest.raises(SpecError) as caught, self.document.blame(path):
            raise UsageError(message)
        assert str(caught.value).splitlines()[0] == place


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "line", "column", "message"),
        [
            ("", 1, 1, "file is empty"),
            ("# only a comment\n", 1, 1, "file is empty"),
            ("- a\n- b\n", 1, 1, "the top level is a list"),
            ("just text", 1, 1, "the top level is 'just text'"),
            ("a:\n\tb: 1\n", 2, 1, "indented with a tab"),
            ("\ta: 1\n", 1, 1, "indented with a tab"),
            ("a:\n  b: 1\n\tc: 2\n", 3, 1, "indented with a tab"),
            ("a: 1\n---\nb: 2\n", 2, 1, "a second document"),
            ("a: 1\n...\nb: 2\n", 3, 1, "a second document"),
            ("a: b: c\n", 1, 5, "unexpected ': '"),
            ("a:\n  b: 1\n c: 2\n", 3, 2, "indentation does not match"),
            ("a: 1\nb\n", 2, 1, "expected 'key: value'"),
            ("a: 1\nb:2\nc: 3\n", 2, 1, "a space after the colon"),
            ("a: {b: 1\n", 1, 4, "this '{' is not closed"),
            ("a: {b: 1\nc: 2\n", 1, 4, "this '{' is not closed"),
            ("a: {b: 1 c: 2}\n", 1, 11, "expected ',' or '}' before this"),
            ("a: {b: 1,, c: 2}\n", 1, 10, "expected a value here"),
            ("a: {b: 1}}\n", 1, 10, "this '}' closes nothing"),
            ("a: [1]]\n", 1, 7, "this ']' closes nothing"),
            ("a: [1, 2\nb: 3\n", 1, 4, "this '[' is not closed"),
            ("a: [1, 2}\n", 1, 9, "expected ',' or ']' before this"),
            ("a: [", 1, 5, "ends before a '[' or '{' is closed"),
            ("a: 'x\n", 1, 4, "this quote is never closed"),
            ('a: 1\nb: "x\nc: 2\n', 2, 4, "this quote is never closed"),
            ("a: 'it's'\n", 1, 8, "put quotes around the whole value"),
            ('a: "\\q"\n', 1, 6, "unknown escape character 'q'"),
            ("a: @x\n", 1, 4, "quote it"),
            ("a: %x\n", 1, 4, "quote it"),
            ("a: 1\nb: *x\n", 2, 4, "undefined alias 'x'"),
            ("a: &x [*x]\n", 1, 4, "refers to itself"),
            ("a: &x {b: *x}\n", 1, 4, "refers to itself"),
            ("a: 1\nb: \x07\n", 2, 4, "character U+0007 is not allowed"),
            ("? [a]\n: 1\n", 1, 3, "a key must be a name"),
            ("a: {<<: 5}\n", 1, 9, "merges mappings"),
            ("a: {<<: [5]}\n", 1, 9, "merges mappings"),
        ],
    )
    def test_each_is_one_problem_at_its_place(self, text, line, column, message):
        (problem,) = fails(text).problems
        assert (problem.line, problem.column) == (line, column)
        assert message in problem.message
        if line <= len(text.splitlines()):
            assert problem.source_line == text.splitlines()[line - 1]

    def test_a_key_given_twice_names_both_places(self):
        (problem,) = fails("a: 1\nb:\n  x: 1\n  y: 2\n  x: 3\n").problems
        assert (problem.line, problem.column, problem.path) == (5, 3, "b.x")
        assert problem.message == "key 'x' is given twice; first at f.yaml:3:3"

    def test_keys_that_are_equal_after_reading_are_the_same(self):
        assert "given twice" in str(fails("16: a\n0x10: b\n"))
        assert "given twice" in str(fails("a: 1\n'a': 2\n"))

    def test_all_mistakes_at_once(self):
        error = fails("a: 1\na: 2\nb: !x 3\nc: {d: 1, d: 2, e: {<<: 4}}\n")
        assert [(p.line, p.path) for p in error.problems] == [(2, "a"), (3, "b"), (4, "c.d"), (4, "c.e.<<")]

    # At 100,000 levels libyaml's composer overflows the stack and takes the process with it.
    @pytest.mark.parametrize("levels", [MAX_DEPTH, 3000, 100_000])
    @pytest.mark.parametrize("closed", ["", "]"])
    def test_deep_nesting(self, levels, closed):
        (problem,) = fails("a: " + "[" * levels + closed * levels).problems
        assert problem.message == f"is nested too deeply; at most {MAX_DEPTH} levels are read"
        assert (problem.line, problem.column) == (1, 3 + MAX_DEPTH)

    def test_nesting_up_to_the_limit(self):
        levels = MAX_DEPTH - 1  # the top level is one
        assert parse_document("a: " + "[" * levels + "]" * levels).data["a"]
        fails("".join("  " * i + "a:\n" for i in range(MAX_DEPTH + 2)))

    def test_nesting_by_aliases(self):
        chain = "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000))
        assert f"expand to more than {MAX_DEPTH} levels" in str(fails("a0: &a0 [x]\n" + chain))

    def test_aliases_that_explode(self):
        lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
        lines += [f"{c}: &{c} [{','.join([f'*{p}'] * 10)}]" for p, c in zip("abcdefgh", "bcdefghi", strict=True)]
        assert "aliases expand to more than 1,000,000 values" in str(fails("\n".join(lines)))

    @given(st.text(alphabet="ab:-[]{},#&*!|>'\"%@` \n\t1.~<?", max_size=30))
    def test_any_text_is_a_document_or_a_spec_error(self, text):
        try:
            assert isinstance(parse_document(text, "f.yaml").data, dict)
        except SpecError as error:
            assert error.problems
            assert all(p.file == "f.yaml" for p in error.problems)

    @given(st.binary(max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    def test_any_bytes_are_a_document_or_a_spec_error(self, tmp_path, raw):
        path = tmp_path / "f.yaml"
        path.write_bytes(raw)
        try:
            load_document(path)
        except SpecError as error:
            assert str(path) in str(error)


class TestFiles:
    def test_missing_file_names_the_nearest(self, write):
        write("systolic.yaml", "a: 1")
        path = write("other.yaml", "a: 1").with_name("systolc.yaml")
        with pytest.raises(SpecError) as caught:
            load_document(path)
        near = str(path.with_name("systolic.yaml"))
        assert str(caught.value) == f"{path}: no such file (did you mean {near!r}?)"

    def test_missing_directory(self, tmp_path):
        with pytest.raises(SpecError, match="no such file; there is no directory"):
            load_document(tmp_path / "nowhere" / "a.yaml")

    def test_directory_lists_what_it_holds(self, write):
        folder = write("b.yaml", "a: 1").parent
        write("a.yaml", "a: 1")
        with pytest.raises(SpecError, match=r"is a directory; it holds a\.yaml, b\.yaml"):
            load_document(folder)

    def test_unreadable_file(self, tmp_path, monkeypatch):
        path = tmp_path / "a.yaml"
        path.write_text("a: 1")

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "read_bytes", refuse)
        with pytest.raises(SpecError, match="cannot be read: Permission denied"):
            load_document(path)

    @pytest.mark.parametrize(
        ("raw", "line", "column", "message"),
        [
            (b"a: 1\nb: \0", 2, 4, "byte 0x00 is no UTF-8 text; is this a binary file"),
            (b"GGUF\x03\0\0\0", 1, 6, "binary file"),
            ("a: 1".encode("utf-16"), 1, 1, "UTF-16"),
            ("a: 1".encode("utf-16-be"), 1, 1, "binary file"),
            ("a: 1".encode("utf-16-le"), 1, 1, "UTF-16"),
            (b"\xef\xbb\xbfa: \xff", 1, 4, "byte 0xff is no UTF-8 text"),
            (b"a: 1\nb: caf\xe9\n", 2, 7, "byte 0xe9 is no UTF-8 text"),
            (b"caf\xc3\xa9: \xff\n", 1, 7, "byte 0xff is no UTF-8 text"),
        ],
    )
    def test_other_encodings(self, tmp_path, raw, line, column, message):
        path = tmp_path / "f.yaml"
        path.write_bytes(raw)
        with pytest.raises(SpecError) as caught:
            load_document(path)
        (problem,) = caught.value.problems
        assert (problem.line, problem.column) == (line, column)
        assert message in problem.message


class TestBase:
    BASE = "name: base\narray: {rows: 4, cols: 8}\npe: {family: float_mac, format: fp16, accumulator: fp32}\nlist: [1, 2]\n"

    def test_merges_key_by_key(self, write):
        write("base.yaml", self.BASE)
        path = write("own.yaml", "base: base.yaml\nname: own\narray:\n  rows: 16\nlist: [3]\nextra: 1\n")
        document = load_document(path)
        assert document.data == {
            "name": "own",
            "array": {"rows": 16, "cols": 8},
            "pe": {"family": "float_mac", "format": "fp16", "accumulator": "fp32"},
            "list": [3],
            "extra": 1,
        }
        assert list(document.data) == ["name", "array", "pe", "list", "extra"]

    def test_marks_follow_the_file_of_each_value(self, write):
        base = write("base.yaml", self.BASE)
        own = write("own.yaml", "base: base.yaml\narray:\n  rows: 16\n")
        document = load_document(own)
        assert document.mark("array.rows")[:3] == (str(own), 3, 9)
        assert document.mark("array.cols")[:3] == (str(base), 2, 24)
        assert document.mark("array", key=True)[:3] == (str(own), 2, 1)
        assert document.mark("pe", key=True)[:3] == (str(base), 3, 1)
        assert document.mark("list.1")[:3] == (str(base), 4, 11)

    def test_null_removes_an_inherited_key(self, write):
        write("base.yaml", self.BASE)
        path = write("own.yaml", "base: base.yaml\npe: {family: lmul, accumulator: null}\nlist: ~\nnew: ~\n")
        data = load_document(path).data
        assert data["pe"] == {"family": "lmul", "format": "fp16"}
        assert "list" not in data
        assert data["new"] is None

    def test_a_value_replaces_a_mapping_and_the_other_way_round(self, write):
        write("base.yaml", "a: {x: 1}\nb: 5\nc: ~\n")
        path = write("own.yaml", "base: base.yaml\na: 5\nb: {x: 1}\nc: {y: 2}\n")
        assert load_document(path).data == {"a": 5, "b": {"x": 1}, "c": {"y": 2}}

    def test_chains_are_relative_to_each_file(self, write):
        write("a/one.yaml", "x: 1\ny: 1\nz: 1\n")
        write("b/two.yaml", "base: ../a/one.yaml\ny: 2\nz: 2\n")
        path = write("c/three.yaml", "base: ../b/two.yaml\nz: 3\n")
        document = load_document(path)
        assert document.data == {"x": 1, "y": 2, "z": 3}
        assert document.mark("x").file == str(path.parent.parent / "a" / "one.yaml")

    def test_absolute_base(self, write):
        base = write("a/one.yaml", "x: 1\n")
        assert load_document(write("b/two.yaml", f"base: {base}\n")).data == {"x": 1}

    def test_without_inheritance_base_is_data(self, write):
        path = write("own.yaml", "base: nowhere.yaml\nx: 1\n")
        assert load_document(path, inherit=False).data == {"base": "nowhere.yaml", "x": 1}

    def test_missing_base_is_reported_where_it_is_named(self, write):
        write("base.yaml", "x: 1\n")
        path = write("own.yaml", "x: 1\nbase: bsae.yaml\n")
        with pytest.raises(SpecError) as caught:
            load_document(path)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.column, problem.path) == (str(path), 2, 7, "base")
        assert "no such file" in problem.message
        assert "did you mean" in problem.message

    @pytest.mark.parametrize("value", ["5", "~", "''", "[a.yaml]", "{a: 1}"])
    def test_base_must_be_a_path(self, write, value):
        with pytest.raises(SpecError, match=r":1:7: base: must be the path of a YAML file"):
            load_document(write("own.yaml", f"base: {value}\n"))

    def test_circles_are_shown(self, write):
        write("a.yaml", "base: b.yaml\n")
        write("b.yaml", "base: c.yaml\n")
        write("c.yaml", "x: 1\nbase: b.yaml\n")
        with pytest.raises(SpecError, match=r"c\.yaml:2:7: base: files form a circle: b\.yaml -> c\.yaml -> b\.yaml"):
            load_document(write("a.yaml", "base: b.yaml\n"))

    def test_a_file_that_is_its_own_base(self, write):
        with pytest.raises(SpecError, match="circle: a.yaml -> a.yaml"):
            load_document(write("a.yaml", "base: ./a.yaml\n"))

    def test_mistakes_in_the_base_are_reported_there(self, write):
        base = write("base.yaml", "x: 1\nx: 2\n")
        with pytest.raises(SpecError, match=re.escape(f"{base}:2:1: x: key 'x' is given twice")):
            load_document(write("own.yaml", "base: base.yaml\n"))

    def test_resolve_base(self):
        assert resolve_base("../arch/a.yaml", "sweeps/s.yaml").as_posix() == "arch/a.yaml"
        assert resolve_base("a.yaml", "s.yaml").as_posix() == "a.yaml"


class TestOverrides:
    document = parse_document(ARCH, "f.yaml")

    @pytest.mark.parametrize(
        ("path", "value", "expected"),
        [
            ("array.rows", "64", 64),
            ("array.rows", 64, 64),
            ("array.rows", "1e3", 1000.0),
            ("array.rows", "'64'", "64"),
            ("array.rows", '"64"', "64"),
            ("name", "big one", "big one"),
            ("name", "a: b # c", "a: b # c"),
            ("name", "true", True),
            ("name", "yes", "yes"),
            ("name", "", None),
            ("name", "~", None),
            ("name", " padded ", "padded"),
            ("pe.format", "fp8_e4m3", "fp8_e4m3"),
            ("pe", "{family: lmul, format: fp8_e4m3}", {"family": "lmul", "format": "fp8_e4m3"}),
            ("pe", {"family": "lmul"}, {"family": "lmul"}),
            ("array", "{rows: 1}", {"rows": 1}),
            ("memories.weights", {"size": "1 KiB"}, {"size": "1 KiB"}),
            ("workloads.0.seq_len", "32", 32),
            ("workloads.1", "{model: c}", {"model": "c"}),
            ("workloads", "[{model: c}, 5]", [{"model": "c"}, 5]),
            ("new.deep.path", 1, 1),
            ("memories.weights.size", "512 KiB", "512 KiB"),
        ],
    )
    def test_values(self, path, value, expected):
        changed = self.document.with_overrides({path: value})
        found = changed.get(path)
        assert found == expected
        assert type(found) is type(expected)
        assert str(changed.mark(path)) == "--set"
        assert str(changed.mark(path, key=True)) == "--set"

    def test_the_original_is_left_alone(self):
        before = json.dumps(self.document.data)
        self.document.with_overrides({"array.rows": 1, "workloads.0.model": "z", "memories.weights": 5})
        assert json.dumps(self.document.data) == before

    def test_untouched_parts_are_shared_and_keep_their_place(self):
        changed = self.document.with_overrides({"array.rows": 64})
        assert changed.data["memories"] is self.document.data["memories"]
        assert changed.mark("array.cols")[:3] == ("f.yaml", 3, 24)
        assert changed.mark("array")[:3] == ("f.yaml", 3, 8)

    def test_marks_within_a_replaced_mapping(self):
        changed = self.document.with_overrides({"array": {"rows": 1}})
        assert str(changed.mark("array.cols")) == "--set"

    def test_marks_of_parents_that_an_override_made(self):
        changed = self.document.with_overrides({"dram.preset": "ddr4_2400"})
        assert str(changed.mark("dram")) == "--set"
        assert str(changed.mark("dram.bandwidth")) == "--set"
        assert changed.mark("drum")[:3] == ("f.yaml", 1, 1)

    def test_a_short_form_is_written_out_where_a_part_of_it_is_set(self):
        document = parse_document("technology: 28nm\nclock: 1 GHz\n")
        changed = document.with_overrides({"technology.vdd": "0.8 V"})
        assert changed.data["technology"] == {"name": "28nm", "vdd": "0.8 V"}
        assert document.data["technology"] == "28nm"
        assert document.with_overrides({"technology": "45nm"}).data["technology"] == "45nm"
        with pytest.raises(SpecError, match="has no part 'x'"):
            document.with_overrides({"clock.x": 1})

    def test_later_ones_win(self):
        changed = self.document.with_overrides({"array": "{rows: 1}", "array.rows": 2})
        assert changed.data["array"] == {"rows": 2}
        again = changed.with_overrides({"array.rows": 3}, origin="point 7")
        assert again.data["array"] == {"rows": 3}
        assert str(again.mark("array.rows")) == "point 7"
        assert str(again.mark("array")) == "--set"

    def test_an_integer_key_is_found_by_its_text(self):
        assert parse_document("t: {7: a}").with_overrides({"t.7": "b"}).data == {"t": {7: "b"}}

    def test_null_has_parts_to_be_made(self):
        assert parse_document("a: ~\n").with_overrides({"a.b": 1}).data == {"a": {"b": 1}}

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("clock.x", 1, "clock is '500 MHz' and has no part 'x'"),
            ("workloads.2.model", 1, "workloads has 2 items; the last index is 1"),
            ("workloads.first", 1, "workloads is a list; 'first' must be an index"),
            ("workloads.-1", 1, "must be an index"),
            ("", 1, "empty part"),
            ("a..b", 1, "empty part"),
            (".a", 1, "empty part"),
            ("array", "{rows: 1", "this '{' is not closed"),
            ("array", "{rows: 1, rows: 2}", "given twice"),
            ("array.rows", "9" * 5000, "digits"),
        ],
    )
    def test_mistakes(self, path, value, message):
        with pytest.raises(SpecError) as caught:
            self.document.with_overrides({path: value})
        (problem,) = caught.value.problems
        assert problem.file == "--set"
        assert problem.path == path
        assert message in problem.message

    def test_all_mistakes_at_once(self):
        with pytest.raises(SpecError) as caught:
            self.document.with_overrides({"clock.x": 1, "array.rows": 5, "workloads.9": 1})
        assert [p.path for p in caught.value.problems] == ["clock.x", "workloads.9"]

    def test_python_documents(self):
        document = Document("python", {"a": {"b": 1}})
        assert str(document.mark("a.b")) == "python"
        assert document.with_overrides({"a.b": 2}).data == {"a": {"b": 2}}

    def test_numpy_values_become_plain(self):
        numpy = pytest.importorskip("numpy")
        changed = self.document.with_overrides({"array.rows": numpy.int64(5), "x": (numpy.float32(0.5), [1])})
        assert type(changed.data["array"]["rows"]) is int
        assert changed.data["x"] == [0.5, [1]]

    def test_plain(self, tmp_path):
        assert plain({"a": (1, tmp_path)}) == {"a": [1, os.fspath(tmp_path)]}

    @given(st.dictionaries(st.sampled_from(["a", "b", "a.x", "a.y.z", "c.d", "l.0", "l.1.m"]), JSON, max_size=5))
    def test_what_was_set_is_what_is_there(self, overrides):
        overrides = {path: value for path, value in overrides.items() if not isinstance(value, str)}
        document = parse_document("a: {x: 1, y: {z: 2}}\nb: 1\nl: [1, {m: 2}]\n")
        try:
            changed = document.with_overrides(overrides)
        except SpecError:
            return
        done = list(overrides)
        for i, path in enumerate(done):
            if not any(later.startswith(path) or path.startswith(later) for later in done[i + 1 :]):
                assert changed.get(path, "missing") == overrides[path]


def test_dotted():
    assert dotted(("a", 0, "b")) == "a.0.b"
    assert dotted(()) == ""
