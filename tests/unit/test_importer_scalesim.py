"""SCALE-Sim's topology files: both forms, what the tool made of them, and every mistake at its place."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Trace, load_workload
from hwsim.workload.importers.base import find_importer

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEMM = "Layer, M, N, K,\n"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def topology(tmp_path: Path):
    """Write a topology and return its trace."""

    def read(text: str, **settings: str) -> Trace:
        path = tmp_path / "net.csv"
        path.write_text(text)
        assert find_importer(str(path)) == "scalesim"
        return load_workload({"source": str(path), "settings": settings})

    return read


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file))


def test_convolutions_are_those_that_the_tool_ran(topology):
    table = rows("scalesim_conv.csv")
    names = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "num_filt", "stride")
    lines = [f"{row['case']}, {', '.join(row[name] for name in names)},\n" for row in table]
    trace = topology(CONV + "".join(lines), outputs="ceil")
    assert [(g.m, g.n, g.k) for g in trace.gemms] == [tuple(int(row[name]) for name in "MNK") for row in table]
    assert {(g.batch, g.role) for g in trace.gemms} == {(1, "conv")}


def test_products_are_those_that_the_tool_ran(topology):
    table = rows("scalesim_gemm.csv")
    trace = topology(GEMM + "".join(f"{row['case']}, {row['M']}, {row['N']}, {row['K']},\n" for row in table))
    assert [(g.m, g.n, g.k) for g in trace.gemms] == [tuple(int(row[name]) for name in "MNK") for row in table]


def test_outputs_are_windows_within_the_image_unless_the_tools_are_asked_for(topology):
    text = CONV + "down, 56, 56, 1, 1, 64, 128, 2,\n"
    assert topology(text).gemms[0].m == 28 * 28
    assert "29x29 outputs if every started stride counts" in topology(text).gemms[0].note
    assert topology(text, outputs="ceil").gemms[0].m == 29 * 29
    with pytest.raises((SpecError, UsageError), match="outputs must be floor or ceil, not 'up'"):
        topology(text, outputs="up")


@pytest.mark.parametrize(
    "text", [GEMM + "a,4,5,6,\n", GEMM + "a,4,5,6\n", "\ufeffLayer,M,N,K\r\n\r\na, 4,5,6,,\r\n,,,\r\n"]
)
def test_commas_at_the_end_of_lines(topology, text):
    assert [(g.layer, g.m, g.n, g.k) for g in topology(text).gemms] == [("a", 4, 5, 6)]


def test_depthwise_layers_are_told_by_their_name(topology):
    found = topology(CONV + "Conv1_DP, 10, 10, 3, 3, 32, 1, 1,\n").gemms[0]
    assert (found.m, found.n, found.k, found.batch) == (64, 1, 9, 32)


def test_structured_sparsity(topology):
    found = topology(GEMM + "a,4,5,8,2:4,\nb,4,5,8,4:4,\n").gemms
    assert [(g.w_stats, g.note) for g in found] == [("zeros=0.5", "2:4 sparse weights"), ("", "4:4 sparse weights")]


def test_every_mistake_at_its_place(topology):
    with pytest.raises(SpecError) as caught:
        topology(GEMM + "a,4,x,6,\nb,4,5,\nc,0,5,6,\nd,4,5,6,7:4,\n,4,5,6,\ne,1000000000000,1000000000000,9,\n")
    places = [(problem.line, problem.column, problem.path) for problem in caught.value.problems]
    assert places == [(2, 5, "N"), (3, 1, ""), (4, 3, "M"), (5, 9, "sparsity"), (6, 1, "layer"), (7, 1, "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONV, "holds no layer"),
        (
            CONV + "a, 2, 9, 3, 3, 1, 1, 1,\n",
            "a kernel of 3 does not fit in 2 pixels; SCALE-Sim's images include padding",
        ),
        (CONV + "a, 1, 2, 3,\n", "4 fields, but a layer has 8: Layer, IFMAP Height"),
        (GEMM + '"a, 4, 5, 6,\n', "the quote at column 1 is never closed"),
    ],
)
def test_files_that_hold_no_layer(topology, text, message):
    with pytest.raises(SpecError) as caught:
        topology(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\n", '"', "\xff" * 9, "a" * 99999]
)
def test_other_files_are_not_taken_for_topologies(tmp_path, text):
    path = tmp_path / "other.csv"
    path.write_text(text)
    assert find_importer(str(path)) == "csv"
    assert find_importer(str(tmp_path / "absent.csv")) == "csv"


def test_a_workload_file_names_a_topology_beside_it(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.csv").write_text(CONV + "down, 56, 56, 1, 1, 64, 128, 2,\n")
    workload = tmp_path / "w.yaml"
    workload.write_text("source: nets/net.csv\nsettings: {outputs: ceil}\n")
    assert load_workload(workload).gemms[0].m == 29 * 29
    workload.write_text("source: nets/net.csv\nsettings: {output: ceil}\n")
    with pytest.raises(SpecError) as caught:
        load_workload(workload)
    problem = caught.value.problems[0]
    assert (problem.line, problem.path) == (2, "settings")
    assert "unknown setting 'output'; valid: outputs (did you mean 'outputs'?)" in problem.message
