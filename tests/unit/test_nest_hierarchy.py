"""Hierarchies as data: what is refused, what ships, and operands that pass a level by."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.simulate.nest.hierarchy import Axis, Hierarchy, Level, Store, Widths
from hwsim.simulate.nest.hierarchy_file import find_hierarchy, hierarchy_names, load_hierarchy, load_hierarchy_spec
from hwsim.simulate.nest.orders import orders, shape_of
from hwsim.simulate.nest.search import search
from hwsim.spec.errors import SpecError, UsageError

WIDTHS = Widths()


def level(name, holds="awo", bits=None, price=1.0):
    return Level(name, (Store(tuple(holds), bits),), (), price, price)


@pytest.mark.parametrize(
    ("levels", "axes", "result_level", "message"),
    [
        ((level("DRAM", "aw"),), (), 0, "the outermost level must hold a, w and o"),
        ((Level("DRAM", (Store(("a", "w", "o"), None), Store(("a",), 8)), (), 1, 1),), (), 0, "in two of its stores"),
        ((level("DRAM"), level("DRAM")), (), 0, "have the same name"),
        ((level("DRAM"),), (Axis("x", ("k",), 2, 0, shared=False),), 0, "must be shared"),
        ((level("DRAM"), level("SRAM")), (Axis("x", ("k",), 2, 0),), 1, "adds sums above the level that keeps results"),
    ],
)
def test_hierarchies_that_contradict_themselves(levels, axes, result_level, message):
    with pytest.raises(UsageError, match=message):
        Hierarchy("h", levels, axes, 0.0, result_level)


@pytest.mark.parametrize("name", hierarchy_names())
def test_shipped_hierarchies_have_sources_and_can_be_searched(name):
    spec = load_hierarchy_spec(find_hierarchy(name))
    assert spec.name == name
    assert len(spec.source) > 40
    found = search(spec.build(), (8, 24, 16), Widths(**spec.widths.model_dump()))
    assert found.complete
    assert found.moved.macs == 8 * 24 * 16


def test_mistakes_of_a_file_stand_at_their_place(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(
        find_hierarchy("edge8").read_text().replace("size: 32 KiB", "size: 32 Kib").replace("loops: [m]", "loops: [x]")
    )
    with pytest.raises(SpecError) as caught:
        load_hierarchy_spec(path)
    assert len(caught.value.problems) == 2
    assert run_command(["validate", str(path)]) == 2
    assert str(Path(path)) in capsys.readouterr().err


def test_what_a_level_costs_too_much_for_passes_it_by():
    """An SRAM dearer than DRAM: with ``bypass`` nothing is kept there, without everything is."""
    hierarchy = Hierarchy("h", (level("DRAM", price=1.0), level("SRAM", bits=10**6, price=50.0)), (), 0.0)
    through = search(hierarchy, (4, 4, 4), WIDTHS)
    past = search(hierarchy, (4, 4, 4), WIDTHS, bypass=True)
    assert {kept.level for kept in past.nest.kept} == {0}
    assert {kept.level for kept in through.nest.kept} == {0, 1}
    assert past.energy_pj < through.energy_pj
    assert past.mappings > through.mappings


def test_bypass_is_never_worse():
    for name in ("edge8", "ws32"):
        hierarchy = load_hierarchy(name)
        for goal in ("energy", "latency", "edp"):
            kept, free = (search(hierarchy, (64, 96, 48), WIDTHS, goal, bypass=b) for b in (False, True))
            value = {
                "energy": lambda f: f.energy_pj,
                "latency": lambda f: f.cycles,
                "edp": lambda f: f.energy_pj * f.cycles,
            }
            assert value[goal](free) <= value[goal](kept) * (1 + 1e-12)


def test_orders_of_places():
    """Four places of which two are of one operand, the outer level first: 4! / 2."""
    found = orders(shape_of(load_hierarchy("os16")))
    assert len({order.places for order in found}) == len(found) == 12
    assert all(order.places.index((1, "o")) < order.places.index((2, "o")) for order in found)


def test_axes_choose_among_their_loops():
    flexible = Axis("x", ("m", "n"), 4, 0)
    hierarchy = Hierarchy("h", (level("DRAM"), level("SRAM")), (flexible,), 0.0)
    assert {order.axes for order in orders(shape_of(hierarchy))} == {(("x", "m"),), (("x", "n"),)}
    wide, tall = (search(hierarchy, dims, WIDTHS, "latency").nest for dims in ((1, 8, 64), (64, 8, 1)))
    assert [loop.dim for loop in wide.loops if loop.axis] == ["n"]
    assert [loop.dim for loop in tall.loops if loop.axis] == ["m"]
    same = Hierarchy("h", (level("DRAM"),), (Axis("x", ("m",), 4, 0), Axis("y", ("m",), 4, 0)), 0.0)
    with pytest.raises(UsageError, match="two axes run over the same loop"):
        search(same, (4, 4, 4), WIDTHS)
