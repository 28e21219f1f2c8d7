"""Special-function units of the vector unit: chosen by name, priced, timed, and refused when they do not exist."""

from __future__ import annotations

import json

import jsonschema
import pytest

from hwsim.cli.main import run_command
from hwsim.cli.schema import schema_text
from hwsim.formats import parse_format
from hwsim.hardware.functions import FUNCTIONS, METHODS, chosen_units, make_function
from hwsim.hardware.technology import load_technology
from hwsim.hardware.technology.operations import operation_counts
from hwsim.simulate.evaluate import evaluate
from hwsim.simulate.vector_ops import vector_kind
from hwsim.simulate.vector_unit import element_cost, unit_cost
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Trace, VectorOp
from tests.support.small import small

T28, FP32 = load_technology("28nm"), parse_format("fp32")
PAIRS = [(f, m) for f in FUNCTIONS for m in METHODS.names() if m != "shift" or f in ("exp", "gelu", "silu")]


def machine(**functions):
    return small(vector_unit={"lanes": 4, "functions": functions})


def row(of, op, m=8, n=16):
    return evaluate(of, Trace("t", (VectorOp("v", op, m, n),), {})).layer_rows[0]


@pytest.mark.parametrize(("function", "method"), PAIRS)
def test_every_method_of_every_function_can_be_chosen(function, method):
    unit = machine(**{function: method}).accelerator.vector_functions[function]
    assert unit == make_function({"function": function, "method": method})


@pytest.mark.parametrize("op", ["gelu", "silu"])
@pytest.mark.parametrize("method", METHODS.names())
def test_an_activation_is_one_operation_of_its_unit(op, method):
    of = machine(**{op: method})
    unit, acc = of.accelerator.vector_functions[op], of.accelerator
    found = row(of, op)
    assert found["compute_cycles"] == 8 * 16 * unit.cycles // 4
    price = unit.price(acc.technology)
    unit_pj = 8 * 16 * (price.energy_fj + price.clock_fj) * unit.cycles * 1e-3
    lanes_pj = found["compute_cycles"] * 4 * acc.vector_lane.clock_fj * 1e-3
    assert found["energy_vector_pj"] == pytest.approx(unit_pj + lanes_pj)
    if method != "shift":  # which divides bit by bit
        assert found["compute_cycles"] < row(small(), op)["compute_cycles"] / 10


def test_exponentials_and_divisions_inside_other_operations():
    units = chosen_units({"exp": "table", "reciprocal": "piecewise"})
    exp, div = (sum(operation_counts(name, FP32).values()) for name in ("exp", "div"))
    plain = {op: element_cost(T28, FP32, vector_kind(op)) for op in ("softmax", "tanh", "gelu", "rmsnorm")}
    both = {op: element_cost(T28, FP32, vector_kind(op), tuple(units.values())) for op in plain}
    assert both["softmax"][0] == plain["softmax"][0] - exp + 1
    for op in ("tanh", "gelu"):
        assert both[op][0] == plain[op][0] - exp - div + 1 + 2  # a reciprocal and a product
        assert both[op][1] < plain[op][1]
    assert both["rmsnorm"] == plain["rmsnorm"]
    saved = T28.op_energy_pj("exp", FP32) - unit_cost(T28, units["exp"])[1]
    assert both["softmax"][1] == pytest.approx(plain["softmax"][1] - saved)


def test_units_take_area_and_leak():
    plain, more = small(vector_unit={"lanes": 4}).accelerator, machine(exp="table", gelu="piecewise").accelerator
    prices = [unit.price(more.technology) for unit in more.vector_functions.values()]
    assert more.area_breakdown_mm2["vector_functions"] == pytest.approx(4e-6 * sum(p.area_um2 for p in prices))
    assert "vector_functions" not in plain.area_breakdown_mm2
    assert more.leakage_w - plain.leakage_w == pytest.approx(4e-9 * sum(p.leakage_nw for p in prices), rel=1e-3)


def test_options_of_a_method():
    coarse, fine = (machine(exp={"method": "piecewise", "segments": n}).accelerator for n in (4, 64))
    assert coarse.area_breakdown_mm2["vector_functions"] < fine.area_breakdown_mm2["vector_functions"]
    errors = [acc.vector_functions["exp"].max_error().absolute for acc in (coarse, fine)]
    assert errors[0] > errors[1]


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ({"exp": "tabel"}, "exp: method: unknown 'tabel'; .*did you mean 'table'"),
        ({"gelo": "table"}, "unknown function 'gelo'; .*did you mean 'gelu'"),
        ({"rsqrt": "shift"}, "rsqrt: function: shift has no rsqrt; valid: exp, gelu, silu"),
        ({"exp": {"method": "table", "segments": 3}}, "exp: segments: 3; valid: powers of two"),
        ({"exp": {"method": "table", "degree": 3}}, "exp: degree: no such option"),
        ({"exp": {"segments": 4}}, "exp: must be a method or its options"),
        ({"exp": 3}, "exp: must be a method or its options"),
        ({"exp": {"method": "table", "function": "gelu"}}, "exp: the function is named already"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(functions, said):
    with pytest.raises(UsageError, match=said):
        chosen_units(functions)
    with pytest.raises(SpecError, match="functions"):
        machine(**functions)


def test_the_schema_knows_functions_and_methods():
    schema = json.loads(schema_text("arch"))["$defs"]["VectorUnitSpec"]["properties"]["functions"]
    for good in ({}, {"exp": "table"}, {"gelu": {"method": "piecewise", "segments": 64}}):
        jsonschema.validate(good, schema)
    for bad in ({"exp": "tabel"}, {"gelo": "table"}, {"exp": {"method": "tabel"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_explain_states_errors_and_run_takes_the_units(capsys, tmp_path):
    chosen = ["--set", "vector_unit.functions={exp: table, gelu: piecewise}"]
    assert run_command(["explain", "arch", "edge_16x16_45nm", *chosen]) == 0
    out = capsys.readouterr().out
    assert "special functions of the vector unit" in out
    assert "max_error" in out
    path = tmp_path / "t.csv"
    path.write_text("layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\ng,gelu,64,64,0,1,1,,,\n")
    latency = {}
    for key, more in (("plain", []), ("units", chosen)):
        assert run_command(["run", "edge_16x16_45nm", str(path), *more, "--format", "json"]) == 0
        latency[key] = json.loads(capsys.readouterr().out)[0]["cycles"]
    assert latency["units"] < latency["plain"]
    assert run_command(["run", "edge_16x16_45nm", str(path), "--set", "vector_unit.functions.exp=tabel"]) == 2
    assert "did you" in capsys.readouterr().err
