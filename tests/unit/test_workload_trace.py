from __future__ import annotations

import csv
import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.errors import ConservationError, SpecError, UsageError
from hwsim.workload import read_trace, write_trace
from hwsim.workload.importers.csv import LARGEST_PRODUCT, OPTIONAL, REQUIRED
from hwsim.workload.importers.csv_line import split_csv_line
from hwsim.workload.ops import A_SOURCES, ROLES, W_SOURCES, Gemm, Op, VectorOp, vector_op_names
from hwsim.workload.trace import Trace, check_conserved

HEADER = ",".join(REQUIRED)

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(
    lambda text: not text.startswith("#")
)
notes = st.text('ab, "#;', max_size=12).map(lambda text: " ".join(text.split()))
small = st.integers(1, 4)
formats = st.sampled_from(["", "int8", "fp16", "int4_g128"])
gemms = st.builds(
    Gemm, names, small, small, small, small, small, formats, formats, formats,
    st.sampled_from(W_SOURCES), st.sampled_from(A_SOURCES), st.sampled_from(ROLES), note=notes,
)  # fmt: skip
vectors = st.builds(
    VectorOp, names, st.sampled_from(vector_op_names()), small, small, small, small, formats, formats, notes
)
traces = st.builds(Trace, st.just("t"), st.lists(st.one_of(gemms, vectors), min_size=1, max_size=8).map(tuple))


def csv_of(trace: Trace) -> str:
    stream = io.StringIO()
    write_trace(trace, stream)
    return stream.getvalue()


@given(traces)
def test_csv_round_trip(trace: Trace) -> None:
    text = csv_of(trace)
    assert read_trace(io.StringIO(text)).ops == trace.ops
    assert csv_of(read_trace(io.StringIO(text))) == text


@given(traces)
def test_merging_conserves_all_work(trace: Trace) -> None:
    merged = trace.merged()
    check_conserved(trace, merged)
    assert len({replace(op, repeat=1) for op in merged.ops}) == len(merged.ops)
    assert merged.merged() == merged


@given(traces)
def test_unique_conserves_macs_and_forgets_names(trace: Trace) -> None:
    unique = trace.unique()
    assert sum(gemm.macs for gemm in unique) == trace.macs
    keys = {replace(gemm, layer="", role="other", note="", repeat=1) for gemm in trace.gemms}
    assert len(unique) == len(keys)


@given(traces)
def test_kinds_sum_to_the_total(trace: Trace) -> None:
    assert sum(trace.macs_by_kind.values()) == trace.macs
    assert len(trace.gemms) + len(trace.vector_ops) == len(trace.ops)


def test_merged_keeps_the_first_place() -> None:
    q, act = Gemm("q", 1, 2, 3), VectorOp("act", "silu", 1, 2)
    trace = Trace("t", (q, act, replace(q, repeat=4), Gemm("k", 1, 2, 3), act))
    assert trace.merged().ops == (replace(q, repeat=5), replace(act, repeat=2), Gemm("k", 1, 2, 3))
    assert trace.unique() == (replace(q, repeat=6),)


def test_lost_work_is_an_error() -> None:
    trace = Trace("t", (Gemm("q", 2, 2, 2), VectorOp("s", "add", 2, 2)))
    with pytest.raises(ConservationError, match="linear MACs 8 -> 16; weight elements 4 -> 8"):
        check_conserved(trace, Trace("t", (Gemm("q", 2, 2, 2, repeat=2), trace.ops[1])))
    with pytest.raises(ConservationError, match="vector elements"):
        check_conserved(trace, Trace("t", trace.ops[:1]))


def test_empty_trace_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no operation"):
        Trace("t", ())


def test_trace_is_a_value() -> None:
    ops: list[Op] = [Gemm("q", 1, 1, 1)]
    trace = Trace("t", ops, {"phase": "prefill"})  # type: ignore[arg-type]
    ops.clear()
    assert trace.ops == (Gemm("q", 1, 1, 1),)
    assert pickle.loads(pickle.dumps(trace)) == trace
    assert hash(trace) == hash(Trace("t", trace.ops))


def test_header_is_exact() -> None:
    columns = (
        "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format,w_stats,a_stats,w_source,a_source,note,role,passes"
    )
    stated = Gemm("q", 1, 2, 3, w_stats="laplace", a_stats="laplace")
    assert csv_of(Trace("t", (stated,))).splitlines()[0] == columns
    assert csv_of(Trace("t", (Gemm("q", 1, 2, 3),))).splitlines()[0] == f"{columns},assumed_stats"


def test_optional_columns_may_be_absent_and_columns_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "\ufeff# by hand\n\no_format,a_format,w_format,repeat,batch,k,n,m,op,layer\n,,int8,2,1,4,3,2,gemm,q\n"
    )
    trace = read_trace(path)
    assert trace.name == "mine"
    assert trace.ops == (Gemm("q", 2, 3, 4, 1, 2, "int8"),)


@pytest.mark.parametrize("k", ["", "0"])
def test_vector_rows_have_no_k(k: str) -> None:
    row = f"{HEADER}\nsm,softmax,2,3,{k},4,5,,,\n"
    assert read_trace(io.StringIO(row)).ops == (VectorOp("sm", "softmax", 2, 3, 4, 5),)


def problems(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(SpecError) as caught:
        read_trace(io.StringIO(text))
    return [(p.line, p.column, p.path, p.message) for p in caught.value.problems]


def test_every_mistake_is_reported_at_its_place() -> None:
    text = f"{HEADER},role\nq,gem,1,1,1,1,1,,,,\nk,gemm,0,1.5,-2,1,x,int88x,,,scor\n,add,1,1,7,1,1,int8,,,\n"
    found = problems(text)
    assert [(line, path) for line, _, path, _ in found] == [
        (2, "op"), (3, "m"), (3, "n"), (3, "k"), (3, "repeat"), (3, "w_format"), (3, "role"),
        (4, "layer"), (4, "k"), (4, "w_format"),
    ]  # fmt: skip
    messages = {(line, path): (column, message) for line, column, path, message in found}
    assert messages[2, "op"][0] == 3
    assert "unknown op 'gem'" in messages[2, "op"][1]
    assert "did you mean 'gemm'" in messages[2, "op"][1]
    assert messages[3, "n"] == (10, "must be a whole number from 1 to 1,000,000,000,000, not '1.5'")
    assert "int88x" in messages[3, "w_format"][1]
    assert "did you mean 'score'" in messages[3, "role"][1]
    assert "a vector operation has no k" in messages[4, "k"][1]


def test_message_shows_file_line_and_caret(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"{HEADER}\nq,gemm,1,1,none,1,1,,,\n")
    with pytest.raises(SpecError, match=r"bad.csv:2:12: k: must be a whole number") as caught:
        read_trace(path)
    assert str(caught.value).splitlines()[-1] == "    " + " " * 11 + "^"


def test_header_mistakes() -> None:
    missing = f"missing columns repeat, w_format; required: {', '.join(REQUIRED)}"
    assert problems("layer,op,m,n,k,batch,a_format,o_format\n") == [(1, 1, "header", missing)]
    ((line, column, _, message),) = problems("layer,op,m,n,k,batch,repeats,w_format,a_format,o_format\n")
    assert (line, column) == (1, 22)
    assert "unknown column 'repeats'" in message
    assert "did you mean 'repeat'" in message
    assert "column 'm' stands twice" in problems(HEADER + ",m\n")[0][3]
    assert "never closed" in problems(f'"{HEADER}\n')[0][3]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_told(separator: str) -> None:
    text = f"{HEADER}\nq,gemm,1,1,1,1,1,,,\n".replace(",", separator)
    message = f"columns are separated by {separator!r}; separate them by commas"
    assert problems(text) == [(1, 6, "header", message)]


def test_structural_mistakes() -> None:
    counts = "but the header names 10 columns; empty fields keep their commas"
    assert problems(f"{HEADER}\nq,gemm,1\n")[0][3] == f"3 fields, {counts}"
    assert problems(f"{HEADER}\nq\n")[0][3] == f"1 field, {counts}"
    assert "never closed" in problems(f'{HEADER}\n"q,gemm,1,1,1,1,1,,,\n')[0][3]
    assert "expected a comma after the quote" in problems(f'{HEADER}\n"q"x,gemm,1,1,1,1,1,,,\n')[0][3]
    assert problems("")[0][3] == f"holds no operation; the first line must name the columns {HEADER}"
    assert problems("# nothing\n")[0][3].endswith(HEADER)
    assert problems(HEADER + "\n")[0][3] == "holds no operation"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lines_end_where_editors_say(end: str) -> None:
    """Not at a form feed or a line separator, where ``str.splitlines`` ends them too."""
    text = f"{HEADER}\na\x0cb\u2028c,gemm,1,1,1,1,1,,,\nx,gem,1,1,1,1,1,,,\n".replace("\n", end)
    assert [(line, column) for line, column, _, _ in problems(text)] == [(3, 3)]


def test_products_that_no_array_finishes() -> None:
    row = f"q,gemm,{LARGEST_PRODUCT // 10**6},1000,1000,9,9,,,"
    assert read_trace(io.StringIO(f"{HEADER}\n{row}\n")).macs == LARGEST_PRODUCT * 81
    ((line, column, path, message),) = problems(f"{HEADER}\n{row.replace('1000,9', '1001,9')}\n")
    assert (line, column, path) == (2, 8, "m")
    assert message == "m × n × k is 1e+16 multiply-accumulates; valid: at most 1e+16"


@pytest.mark.parametrize("number", ["1e3", "٣", "+4", "1_000", "9" * 5000, str(10**12 + 1), " "])
def test_numbers_are_plain_digits_in_range(number: str) -> None:
    assert problems(f"{HEADER}\nq,gemm,{number},1,1,1,1,,,\n")[0][2] == "m"


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent.csv: no such file"):
        read_trace(tmp_path / "absent.csv")
    (tmp_path / "latin.csv").write_bytes(b"a\n\xe9")
    with pytest.raises(SpecError, match=r"latin.csv:2:1: byte 0xe9 is no UTF-8 text"):
        read_trace(tmp_path / "latin.csv")
    with pytest.raises(UsageError, match="cannot write the trace"):
        write_trace(Trace("t", (Gemm("q", 1, 1, 1),)), tmp_path / "no" / "folder.csv")


def test_the_csv_states_what_is_assumed_of_operands() -> None:
    laplace = Gemm("k", 1, 2, 3, w_stats="laplace zeros=0.5", a_stats="zeros=0.1")
    both = Gemm("v", 1, 2, 3, w_stats="laplace", a_stats="gaussian")
    trace = Trace("t", (Gemm("q", 1, 2, 3), VectorOp("add", "add", 1, 2), laplace, both))
    rows = list(csv.DictReader(io.StringIO(csv_of(trace))))
    assert [row["assumed_stats"] for row in rows] == ["w=gaussian a=gaussian", "", "a=gaussian", ""]
    assert "assumed" not in csv_of(Trace("t", (both,)))
    assert "assumed" not in csv_of(Trace("t", (VectorOp("add", "add", 1, 2),)))


def test_another_assumption_is_refused() -> None:
    ((line, column, path, message),) = problems(f"{HEADER},assumed_stats\nq,gemm,1,1,1,1,1,,,,w=laplace\n")
    assert (line, column, path) == (2, 21, "assumed_stats")
    assert message == ("'w=laplace' is not assumed here, but w=gaussian a=gaussian; state others in w_stats, a_stats")
    found = problems(f"{HEADER},assumed_stats\nq,silu,1,1,,1,1,,,,a=gaussian\n")
    assert [problem[2] for problem in found] == ["assumed_stats"]


def test_split_matches_the_csv_module() -> None:
    import csv

    for line in ("a,b,,c", "", ",", '"a,b",c', '"say ""hi""",x', 'x,"",y', '"a"'):
        cells = list(split_csv_line(line))
        assert [value for _, value in cells] == (next(csv.reader([line])) or [""])
        for (column, _), before in zip(cells[1:], cells, strict=False):
            assert line[column - 2] == ","
            assert column > before[0]


def test_columns_are_documented() -> None:
    import hwsim.workload.importers.csv as module

    assert ",".join(REQUIRED) in (module.__doc__ or "")
    assert ",".join(OPTIONAL) in (module.__doc__ or "")
