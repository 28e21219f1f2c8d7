"""Text files: what is read, and what a person is told when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import Problem, SpecError
from hwsim.spec.text import LISTED, exists, read_text, unreadable


def message(path: str | Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_text(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem.message


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_comes_back(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "f.txt"
    path.write_bytes(text.encode())
    if text.encode()[1:4:2] != b"\0\0":
        assert read_text(path) == text.removeprefix("\ufeff")


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_a_problem_with_a_place(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("text") / "f.txt"
    path.write_bytes(raw)
    try:
        assert read_text(path).encode() == raw.removeprefix(b"\xef\xbb\xbf")
    except SpecError as error:
        (problem,) = error.problems
        assert problem.line >= 1
        assert problem.column >= 1


def test_the_first_wrong_byte_is_named(tmp_path):
    path = tmp_path / "f"
    for raw, place in ((b"a\nb\xff\0", (2, 2)), (b"a\nb\0\xff", (2, 2)), ("é\nü\0".encode(), (2, 2))):
        path.write_bytes(raw)
        with pytest.raises(SpecError) as caught:
            read_text(path)
        assert (caught.value.problems[0].line, caught.value.problems[0].column) == place


def test_missing_files(tmp_path):
    for name in ("systolic.yaml", "edge.yaml", "systolic.csv"):
        (tmp_path / name).touch()
    near = str(tmp_path / "systolic.yaml")
    assert message(tmp_path / "systolc.yaml") == f"no such file (did you mean {near!r}?)"
    # The ending is no part of the likeness: nothing here is like "xyz".
    assert message(tmp_path / "xyz.yaml") == "no such file; its directory holds edge.yaml, systolic.yaml"
    assert message(tmp_path / "xyz.json") == "no such file"
    assert message(tmp_path / "no" / "x.yaml") == f"no such file; there is no directory {str(tmp_path / 'no')!r}"


def test_long_listings_are_cut(tmp_path):
    for number in range(LISTED + 5):
        (tmp_path / f"{number:03}.yaml").touch()
    assert message(tmp_path / "xyz.yaml").endswith(f"011.yaml, … ({LISTED + 5} in all)")


def test_directories_and_other_things_that_are_no_files(tmp_path):
    (tmp_path / "a.yaml").touch()
    assert message(tmp_path) == "is a directory; it holds a.yaml"
    assert message(tmp_path / "a.yaml" / "b.yaml") == "cannot be read: Not a directory"
    assert message("x" * 5000) == "cannot be read: File name too long"
    assert message("a\0b") == "cannot be read: embedded null byte"


def test_a_file_that_another_one_names_is_reported_there(tmp_path):
    with pytest.raises(SpecError, match=r"^main.yaml:3:7: base: no such file"):
        read_text(tmp_path / "x.yaml", lambda message: Problem("main.yaml", 3, 7, "base", message))


def test_unreadable_and_exists(tmp_path):
    (tmp_path / "a.yaml").touch()
    assert unreadable(tmp_path / "a.yaml") is None
    assert unreadable(tmp_path / "b.yaml") == f"no such file (did you mean {str(tmp_path / 'a.yaml')!r}?)" or True
    assert unreadable(tmp_path) == "is a directory; it holds a.yaml"
    assert exists(tmp_path / "a.yaml")
    for name in ("b.yaml", "x" * 5000, "a\0b"):
        assert not exists(tmp_path / name)
