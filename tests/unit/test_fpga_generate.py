"""Where rows of synthesised circuits come from: Verilog, counting on stored netlists, reruns where yosys is installed.

Netlists in ``tests/data/netlists`` are what yosys 0.70 wrote for rows of that name, without attributes.
"""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.formats import Minifloat, parse_format
from hwsim.hardware.fpga.generate import count_alms, count_sites, read_netlist, verilog
from hwsim.hardware.fpga.generate.__main__ import SHIPPED, main
from hwsim.hardware.fpga.generate.alm import SHARED, packed
from hwsim.hardware.fpga.generate.netlist import Cell
from hwsim.hardware.fpga.generate.table import FIGURES, Row, measure, read_table
from hwsim.hardware.fpga.generate.yosys import program, synthesise
from hwsim.hardware.fpga.rows import read_params
from hwsim.spec.data import data_path
from hwsim.spec.errors import UsageError

FOLDER = Path(__file__).parents[1] / "data" / "netlists"
STORED = sorted(path.stem for path in FOLDER.glob("*.json"))
TABLES = {name: read_table(data_path("fpga", name)) for name in SHIPPED}
ROWS = {row["design"]: (row, table.fabric) for table in TABLES.values() for row in table.rows}
needs_yosys = pytest.mark.skipif(program() is None, reason="yosys is not installed (extra synth)")


def stored(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return data


@pytest.mark.parametrize("name", STORED)
def test_stored_netlists_count_as_their_rows(name: str) -> None:
    row, fabric = ROWS[name]
    figures = FIGURES[fabric](read_netlist(stored(name)))
    assert figures == {key: row[key] for key in figures}


def test_counts_share_sites_and_take_nets_through() -> None:
    eleven = count_sites(read_netlist(stored("c_cmp_11")))
    assert (eleven.lut_sites, eleven.lut_cells) == (7, 8)  # a LUT at a data input shares its bit's site
    increment = count_sites(read_netlist(stored("c_inc_6")))
    assert (increment.lut_sites, increment.lut_cells) == (6, 1)  # five bits are taken through
    gated = count_alms(read_netlist(stored("a_andadd_8")))
    assert (gated.alm, gated.alm_as_mapped) == (4, 8)  # gates are in the adder's LUTs


def evaluate(data: dict[str, Any], inputs: dict[str, int]) -> int:
    """Return output ``y`` of a netlist of ALM primitives, as the simulation models of yosys define them."""
    top = data["modules"]["top"]
    values: dict[Any, int] = {"0": 0, "1": 1, "x": 0}
    for port, number in inputs.items():
        values |= {bit: number >> place & 1 for place, bit in enumerate(top["ports"][port]["bits"])}
    left = list(top["cells"].values())
    while left:
        later = []
        for cell in left:
            nets = {port: bits[0] for port, bits in cell["connections"].items() if bits}
            ways = cell["port_directions"]
            if any(net not in values for port, net in nets.items() if ways[port] == "input"):
                later.append(cell)
                continue
            values |= outputs(cell, {port: values[net] for port, net in nets.items() if ways[port] == "input"}, nets)
        assert len(later) < len(left), "a loop"
        left = later
    return sum(values[bit] << place for place, bit in enumerate(top["ports"]["y"]["bits"]))


def outputs(cell: dict[str, Any], pins: dict[str, int], nets: dict[str, Any]) -> dict[Any, int]:
    def look_up(mask: str, names: str) -> int:
        place = sum(pins[name] << bit for bit, name in enumerate(names.split()))
        return int(mask[::-1][place])

    if cell["type"] == "MISTRAL_ALUT_ARITH":
        first = look_up(cell["parameters"]["LUT0"], "A B C D0")
        second = look_up(cell["parameters"]["LUT1"], "A B C D1")
        total = first + (1 - second) + pins["CI"]
        return {nets["CO"]: total >> 1, **({nets["SO"]: total & 1} if "SO" in nets else {})}
    if cell["type"] == "MISTRAL_NOT":
        return {nets["Q"]: 1 - pins["A"]}
    names = "A B C D E F"[: 2 * int(cell["type"][-1]) - 1]
    return {nets["Q"]: look_up(cell["parameters"]["LUT"], names)}


def test_a_multiplier_multiplies() -> None:
    data = stored("a_imul_s4x4")
    for a in range(16):
        for b in range(16):
            product = (a - 16 * (a > 7)) * (b - 16 * (b > 7))
            assert evaluate(data, {"a": a, "b": b}) == product % 256


def test_a_product_of_minifloats_is_that_of_the_format() -> None:
    fmt = parse_format("fp4_e2m1").element
    assert isinstance(fmt, Minifloat)
    data, unit = stored("a_ffix_e2m1"), fmt.decode(1) ** 2
    for a in range(16):
        for b in range(16):
            exact = fmt.decode(a) * fmt.decode(b) / unit
            assert evaluate(data, {"a": a, "b": b}) == int(exact) % 512


def lut(name: str, nets: str) -> Cell:
    ports = {port: (ord(net),) for port, net in zip("ABCDEF", nets, strict=False)}
    return Cell(name, f"MISTRAL_ALUT{len(nets)}", {**ports, "Q": (1000 + hash(name) % 1000,)}, frozenset(ports))


@pytest.mark.parametrize(
    ("functions", "alms"),
    [
        (["abcdef"], 1), (["abcdef", "ab"], 1.5), (["abcde", "fghij"], 2), (["abcde", "efghi"], 2),
        (["abcde", "defgh"], 1), (["abcde", "fghi"], 1.5), (["abcde", "efgh"], 1), (["abcde", "fgh"], 1),
        (["abcd", "efgh"], 1), (["abcd"], 0.5), (["abcde", "abcdf", "abcdg"], 2), ([], 0),
    ],
)  # fmt: skip
def test_what_shares_an_alm(functions: list[str], alms: float) -> None:
    assert packed([lut(f"f{place}", nets) for place, nets in enumerate(functions)]) == alms


def best(luts: list[Cell]) -> float:
    """Return the fewest ALMs, by trying all pairs."""
    if not luts:
        return 0
    first, rest = luts[0], luts[1:]
    alone = 0.5 if len(first.inputs) <= 4 else 1
    found = alone + best(rest)
    for place, other in enumerate(rest):
        sizes = sorted((len(first.inputs), len(other.inputs)))
        common = len(first.signals & other.signals)
        need = {(4, 5): SHARED[4], (5, 5): SHARED[5]}.get((sizes[0], sizes[1]), 0)
        if sizes[1] <= 5 and common >= need:
            found = min(found, 1 + best(rest[:place] + rest[place + 1 :]))
    return found


@given(st.lists(st.sets(st.sampled_from("abcdefghij"), min_size=1, max_size=6), max_size=6))
def test_pairs_are_legal_and_near_the_best(functions: list[set[str]]) -> None:
    luts = [lut(f"f{place}", "".join(sorted(nets))) for place, nets in enumerate(functions)]
    fewest = best(luts)
    fives = sum(len(nets) == 5 for nets in functions)
    assert fewest <= packed(luts) <= fewest + fives / 2  # greedy pairs of fives may miss some
    if fives <= 1:
        assert packed(luts) == fewest


def adder(operands: list[tuple[str, str]], functions: dict[str, str], outside: str = "") -> Any:
    """Return a netlist of a chain whose operands are nets, some of them driven by functions of others."""
    number = {net: place + 2 for place, net in enumerate(sorted({*"".join(functions.values()), *functions,
              *(net for pair in operands for net in pair)}))}  # fmt: skip
    cells: dict[str, Any] = {}
    for place, (a, b) in enumerate(operands):
        ports = {"A": [number[a]], "B": [number[b]], "C": ["1"], "D0": ["1"], "D1": ["1"],
                 "CI": [500 + place if place else "0"], "CO": [501 + place], "SO": [600 + place]}  # fmt: skip
        ways = {port: "output" if port in ("CO", "SO") else "input" for port in ports}
        cells[f"a{place}"] = {"type": "MISTRAL_ALUT_ARITH", "port_directions": ways, "connections": ports}
    for net, inputs in functions.items():
        pins = {port: [number[one]] for port, one in zip("ABCDEF", inputs, strict=False)}
        cells[net] = {"type": f"MISTRAL_ALUT{len(inputs)}", "connections": {**pins, "Q": [number[net]]},
                      "port_directions": {**dict.fromkeys(pins, "input"), "Q": "output"}}  # fmt: skip
    y = [600 + place for place in range(len(operands))] + [number[net] for net in outside]
    return read_netlist({"modules": {"top": {"ports": {"y": {"direction": "output", "bits": y}}, "cells": cells}}})


@pytest.mark.parametrize(
    ("operands", "functions", "outside", "left"),
    [
        ([("x", "y")], {"x": "ab"}, "", 0),
        ([("x", "y")], {"x": "ab", "y": "cd"}, "", 0),
        ([("x", "y")], {"x": "ab"}, "x", 1),  # used elsewhere, too
        ([("x", "y")], {"x": "abcde"}, "", 1),  # five inputs
        ([("x", "y")], {"x": "abcd", "y": "efgh"}, "", 1),  # more than the ALM's inputs
        ([("x", "y"), ("v", "w")], {"x": "as", "y": "bt", "v": "cs", "w": "dt"}, "", 0),  # two rows of a product
        ([("x", "y"), ("v", "w")], {"x": "abc", "v": "def"}, "", 0),
        ([("x", "y"), ("v", "w")], {"x": "abcd", "v": "efgh"}, "", 1),  # both bits see two inputs alone
    ],
)
def test_gates_that_an_adder_holds(
    operands: list[tuple[str, str]], functions: dict[str, str], outside: str, left: int
) -> None:
    assert count_alms(adder(operands, functions, outside)).aluts == left


def test_chains_begin_in_alms_of_their_own() -> None:
    three = adder([("a", "b")] * 3, {})
    assert count_alms(three).alm == 2
    assert count_alms(adder([("a", "b")] * 4, {})).alm == 2


@pytest.mark.parametrize("design", sorted(ROWS))
def test_every_row_has_verilog(design: str) -> None:
    row, _ = ROWS[design]
    text = verilog(row["family"], read_params(row["params"]))
    assert text.startswith("module top(")
    assert text.endswith("endmodule\n")


RERUN = ["c_cmp_11", "c_neg_6", "c_mux_8_4", "a_andadd_8", "a_eq_8", "a_imac_s4x4", "a_fmac_e2m1", "a_lmac_e2m1"]


@needs_yosys
@pytest.mark.timeout(900)
@pytest.mark.parametrize("design", RERUN)
def test_rows_come_out_again(design: str) -> None:
    row, fabric = ROWS[design]
    found = measure(row, fabric)
    if not found["source"].startswith("own run of yosys 0.70:"):
        pytest.skip("the rows are those of yosys 0.70; another version counts otherwise")
    assert {key: found[key] for key in found if key != "source"} == {key: row[key] for key in found if key != "source"}


@needs_yosys
def test_verilog_that_yosys_refuses_is_named() -> None:
    with pytest.raises(UsageError, match="yosys failed: .*syntax error"):
        synthesise("module top(; endmodule", "alm")
    with pytest.raises(UsageError, match="unknown fabric 'als'"):
        synthesise("", "als")


def test_the_command_prints_checks_and_names_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = str(data_path("fpga", "component_rows.csv"))
    assert main([table, "--verilog", "--only", "c_add_8"]) == 0
    assert "assign y = a + b;" in capsys.readouterr().out

    def remembered(row: Row, fabric: str) -> Row:
        return {**row, "lut_cells": "9"} if row["design"] == "c_add_8" else row

    monkeypatch.setattr("hwsim.hardware.fpga.generate.__main__.measure", remembered)
    assert main([table, "--check", "--only", "c_add_4", "c_eq_8"]) == 0
    assert "2 units come out as in the table" in capsys.readouterr().out
    assert main([table, "--check"]) == 4
    assert "c_add_8: lut_cells is 9, the table has 8" in capsys.readouterr().err
    copy = tmp_path / "rows.csv"
    copy.write_text(Path(table).read_text())
    assert main([str(copy)]) == 0
    assert copy.read_text() == Path(table).read_text().replace("c_add_8,adder,{w: 8},8,8", "c_add_8,adder,{w: 8},8,9")
    for arguments, message in (
        ([table, "--only", "c_add_8"], "--only: would drop the other rows"),
        ([table, "--check", "--only", "c_add_9"], "unknown design 'c_add_9'"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


def test_without_yosys_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.hardware.fpga.generate.yosys.program", lambda: None)
    assert main([str(data_path("fpga", "alm_rows.csv")), "--check", "--only", "a_imul_s2x2"]) == 2
    assert "yosys is not installed; valid: pip install 'hwsim[synth]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [("design,family\n", "missing column params"), ("design,family,params\n", "no column tells the fabric")],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_table(path)


def test_units_without_verilog_are_named() -> None:
    with pytest.raises(UsageError, match="adder: parameter w is missing"):
        verilog("adder", {})
    with pytest.raises(UsageError, match="unknown family of FPGA units in Verilog 'addr'"):
        verilog("addr", {})
    with pytest.raises(UsageError, match="unknown gate 'nor'"):
        verilog("gated_adder", {"n": 4, "gate": "nor"})
    with pytest.raises(UsageError, match="no module 'top'"):
        read_netlist({"modules": {"other": {}}})


def test_pairs_of_designs_are_unlike() -> None:
    texts = {
        name: verilog(row["family"], read_params(row["params"])) for name, (row, _) in ROWS.items() if name[0] == "a"
    }
    assert all(texts[one] != texts[other] for one, other in combinations(texts, 2))
