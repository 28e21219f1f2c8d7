import csv
import io
import json
import math
import os
import string
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.report.files import write_atomically
from hwsim.report.tables import print_table, read_frame, write_frame
from hwsim.report.wording import cell_text, column_title, counted, listed, number_text
from hwsim.spec.errors import UsageError


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def printed(capsys, *args, **kwargs):
    print_table(*args, **kwargs)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1074003968, "1,074,003,968"),
        (-1234, "-1,234"),
        (0.0105263, "0.01053"),
        (99618.368, "99,618"),
        (3003.78, "3,004"),
        (70.680625, "70.68"),
        (9.99999, "10"),
        (0.0009999999, "0.001"),
        (0.5, "0.5"),
        (16.0, "16"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.23e-05, "1.23e-05"),
        (225555974145.2, "2.256e+11"),
        (9999999.0, "1e+07"),
        (9998000.0, "9,998,000"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_number_text(value, text):
    assert number_text(value) == text


@given(st.floats(min_value=1e-12, max_value=1e15))
def test_number_text_keeps_four_digits(value):
    # Four significant digits are at most half a unit of the fourth away, 5e-4 of the value.
    assert float(number_text(value).replace(",", "")) == pytest.approx(value, rel=5.001e-4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (pd.NA, "–"), (pd.NaT, "–"), (np.float64("nan"), "–"), ("", ""), (True, "yes"), (np.bool_(False), "no"),
        (np.int64(12345), "12,345"), ("two\nlines\x1b[31m", "two lines [31m"), ("007", "007"),
    ],
)  # fmt: skip
def test_cell_text(value, text):
    assert cell_text(value) == text


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("energy_mj", "Energy (mJ)"),
        ("latency_ms", "Latency (ms)"),
        ("area_mm2", "Area (mm²)"),
        ("energy_dram_pj", "Energy DRAM (pJ)"),
        ("sram_read_bytes", "SRAM read (bytes)"),
        ("tops_per_watt", "Efficiency (TOPS/W)"),
        ("sqnr_db", "SQNR (dB)"),
        ("accuracy_source", "SQNR from"),
        ("array.rows", "array.rows"),
        ("ms", "Ms"),
        ("workload", "Workload"),
    ],
)
def test_column_title(name, title):
    assert column_title(name) == title


def test_words_in_sentences():
    assert [counted(1, "design"), counted(1200, "design")] == ["1 design", "1,200 designs"]
    assert [listed([]), listed("a"), listed("ab"), listed("abc")] == ["", "a", "a and b", "a, b and c"]


def test_table_on_a_pipe_is_plain_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    frame = pd.DataFrame({"name": ["x" * 300, "[bold]y[/bold]"], **{f"column_{i}": [i, 1e-5] for i in range(40)}})
    text = printed(capsys, frame, title="a [red]title[/red]")
    lines = text.splitlines()
    assert "\x1b" not in text
    assert "…" not in text
    assert lines[0] == "a [red]title[/red]"
    assert "x" * 300 in lines[3]
    assert "[bold]y[/bold]" in lines[4]
    assert lines[1].split() == ["name", *(f"column_{i}" for i in range(40))]
    assert lines[4].split()[1:] == ["1e-05"] * 40


def test_numbers_stand_right_words_left(capsys):
    frame = pd.DataFrame({"word": ["a", "bbbb"], "number": [1, 22222], "some": [None, 0.5], "none": [None, None]})
    lines = [line.rstrip() for line in printed(capsys, frame).splitlines()]
    assert lines[0] == "word  number  some  none"
    assert lines[2] == "a          1     –  –"
    assert lines[3] == "bbbb  22,222   0.5  –"


def test_columns_are_chosen_and_ordered(capsys):
    frame = pd.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert printed(capsys, frame, columns=["c", "a"]).splitlines()[0].split() == ["c", "a"]
    with pytest.raises(UsageError, match=r"unknown column 'energi'; .*did you mean 'energy'"):
        print_table(pd.DataFrame({"energy": [1]}), columns=["energi"])


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": [], "b": []})])
def test_empty_table_says_so(capsys, frame):
    assert "(no rows)" in printed(capsys, frame)


@pytest.mark.parametrize("width", [30, 60, 100])
def test_table_on_a_terminal_fits_and_shows_every_number(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", Terminal())
    frame = pd.DataFrame(
        {"layer": ["a", "b"], **{f"n{i}": [12345678 + i, i] for i in range(20)}, "why": ["word " * 30] * 2}
    )
    print_table(frame, title="numbers")
    text = "".join(c for c in sys.stdout.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", ""))
    assert max(map(len, text.splitlines())) <= width
    assert all(f"{12345678 + i:,}" in text for i in range(20))
    assert text.count("word") == 60
    # Each band of columns begins with the name of the row.
    bands = [line for line in text.splitlines() if line.startswith("layer")]
    assert len(bands) > 1


def test_what_the_terminal_cannot_say_is_replaced(monkeypatch):
    class Ascii(io.StringIO):
        encoding = "ascii"

    monkeypatch.setattr(sys, "stdout", Ascii())
    print_table(pd.DataFrame({"µ": [None]}))
    assert sys.stdout.getvalue().isascii()


FLOATS = st.floats(allow_nan=False)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.lists(st.tuples(FLOATS, st.integers(-(2**62), 2**62), WORDS), min_size=1, max_size=8))
def test_json_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("json") / "t.json"
    frame = pd.DataFrame(rows, columns=["float", "int", "word"])
    write_frame(frame, "json", path)
    back = read_frame(path)
    assert [tuple(row) for row in back.itertuples(index=False)] == rows
    assert np.signbit(back["float"]).tolist() == np.signbit(frame["float"]).tolist()


@given(st.lists(st.tuples(FLOATS, st.integers(-(2**62), 2**62), WORDS.map("n{}".format)), min_size=1, max_size=8))
def test_csv_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_frame(pd.DataFrame(rows, columns=["float", "int", "word"]), "csv", path)
    back = read_frame(path)
    assert [tuple(row) for row in back.itertuples(index=False)] == rows


def test_parquet_round_trip(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.5, math.nan], "b": ["x", None], "c": [1, 2]})
    write_frame(frame, "parquet", tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "t.parquet"), frame, check_dtype=False)
    first = (tmp_path / "t.parquet").read_bytes()
    write_frame(frame, "parquet", tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == first
    with pytest.raises(UsageError, match="Parquet cannot hold"):
        write_frame(pd.DataFrame({"mixed": [1, "auto"]}), "parquet", tmp_path / "u.parquet")
    assert not (tmp_path / "u.parquet").exists()


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install hwsim\[parquet\]"):
        write_frame(pd.DataFrame({"a": [1]}), "parquet", tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"pip install hwsim\[parquet\]"):
        read_frame(tmp_path / "t.parquet")


def test_csv_bytes():
    stream = io.BytesIO()
    frame = pd.DataFrame({"µ": [0.1, 1e-5, math.inf, None], "b": ["a,b", 'q"', "x\ny", None], "c": [1, 2, 3, 4]})
    write_frame(frame, "csv", stream)
    assert stream.getvalue().decode() == 'µ,b,c\n0.1,"a,b",1\n1e-05,"q""",2\ninf,"x\ny",3\n,,4\n'
    assert list(csv.reader(io.StringIO(stream.getvalue().decode())))[2] == ["1e-05", 'q"', "2"]


def test_json_bytes_are_plain_json():
    stream = io.BytesIO()
    write_frame(pd.DataFrame({"a": [0.1, math.inf, None], "b": ["µ\n", None, True]}), "json", stream)
    text = stream.getvalue().decode()
    assert text == '[\n{"a": 0.1, "b": "µ\\n"},\n{"a": 1e999, "b": null},\n{"a": null, "b": true}\n]\n'

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(text, parse_constant=refuse)[1]["a"] == math.inf


def test_a_name_that_is_no_text_does_not_stop_writing():
    for table_format in ("csv", "json"):
        stream = io.BytesIO()
        write_frame(pd.DataFrame({"a": ["bad\udcff"]}), table_format, stream)
        assert b"bad\\udcff" in stream.getvalue()


def test_names_like_nan_stay_names(tmp_path):
    names = ["nan", "None", "NA", "null", "-"]
    write_frame(pd.DataFrame({"name": names, "x": [1.0, None, 3.0, 4.0, 5.0]}), "csv", tmp_path / "t.csv")
    back = read_frame(tmp_path / "t.csv")
    assert back["name"].tolist() == names
    assert back["x"].isna().tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "not a readable CSV"),
        ("t.csv", b"\xff\xfe\x00a,b", "not a readable CSV"),
        ("t.csv", b'a,b\n1,"2', "not a readable CSV"),
        ("t.json", b"{", "not a readable JSON"),
        ("t.json", b'{"a": 1}', "a list of rows"),
        ("t.json", b"[1]", "a list of rows"),
        ("t.xlsx", b"", "cannot tell the table format from '.xlsx'; valid: csv, json, parquet"),
        ("none.csv", None, "no such file"),
    ],
)
def test_unreadable_tables(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_frame(tmp_path / name)


def test_unknown_format():
    with pytest.raises(UsageError, match="unknown table format 'cvs'; valid: csv, json, parquet .did you mean 'csv'"):
        write_frame(pd.DataFrame({"a": [1]}), "cvs", io.BytesIO())


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    target = tmp_path / "t.csv"
    target.write_text("old")

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, {"write": "open", "replace": "replace"}[step], fail)
    with pytest.raises(UsageError, match=r"cannot write .*t\.csv: No space left on device"):
        write_atomically(target, b"new")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert target.read_text() == "old"


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "t.csv", b"new")
    assert list(tmp_path.iterdir()) == []


def test_rights_and_links_stay(tmp_path):
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o604)
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o604
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "fresh.csv", b"")
    finally:
        os.umask(mask)
    assert (tmp_path / "fresh.csv").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_to_not_replaced():
    controller, terminal = os.openpty()
    try:
        write_atomically(Path(os.ttyname(terminal)), b"text")
        assert os.read(controller, 16) == b"text"
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize("name", ["missing/t.csv", "."])
def test_places_that_cannot_be_written(tmp_path, name):
    with pytest.raises(UsageError, match="cannot write"):
        write_atomically(tmp_path / name, b"")
    assert list(tmp_path.iterdir()) == []


def test_long_names_fit_the_file_system(tmp_path):
    target = tmp_path / (string.ascii_letters * 4 + ".csv")
    write_atomically(target, b"x")
    assert target.read_bytes() == b"x"
