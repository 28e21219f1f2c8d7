"""Every model that could answer for an SRAM, which one does, and why.

From the highest fidelity to the lowest: figures that the user gives; a row of CACTI; interpolation
between rows; the rows' own growth beyond them; other nodes; a fitted formula. The first that can answer
is chosen; ``build_sram`` takes the same way without looking at the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwsim.hardware.memory.banked import MOST_BANKS
from hwsim.hardware.memory.ecc import check_bits, stored_bytes
from hwsim.hardware.memory.figures import NAMES, Answer
from hwsim.hardware.memory.formula import formula_answer, formula_nodes
from hwsim.hardware.memory.grid import Grid, shipped_grid
from hwsim.hardware.memory.published import PublishedSpec
from hwsim.hardware.memory.sram import Request, array_answer, check_request, finished
from hwsim.spec.errors import UsageError


class Candidate(NamedTuple):
    """One model's answer; ``figures`` by name, empty if it has none; ``why`` it is or is not chosen."""

    model: str
    figures: dict[str, float]
    chosen: bool
    why: str


class Model(NamedTuple):
    """A way to the figures of an array: ``refusal`` says why it has none, empty if it has."""

    name: str
    refusal: Callable[[Grid, Request], str]
    answer: Callable[[Grid, Request], Answer]
    why: str


def sram_candidates(request: Request, published: PublishedSpec | None = None) -> list[Candidate]:
    """Return the models from the highest fidelity to the lowest with their answers.

    Raises
    ------
    UsageError, MissingFigureError, InfeasibleError
        As :func:`build_sram` does, unless the user gives every figure.
    """
    grid, given = shipped_grid(), published.figures if published else {}
    whole = len(given) == len(NAMES)
    why = f"given by the user: {published.source}" if published else "none given (figures: with a source)"
    if given and not whole:
        why += f" (the rest, {', '.join(n for n in NAMES if n not in given)}, by the next that can)"
    found = [Candidate("published", given, bool(given), why)]
    try:
        check_request(grid, request)
    except UsageError:
        if whole:
            return found
        raise
    stored = _stored(request)
    open_, way = not whole, ""
    for model in MODELS:
        refusal = model.refusal(grid, stored)
        if refusal:
            found.append(Candidate(model.name, {}, False, refusal))
            continue
        answer = finished(model.answer(grid, stored), request)
        figures = {n: v for n, v in zip(NAMES, answer.figures, strict=True) if v == v}
        why = model.why if open_ else f"{way or 'published figures'} is of higher fidelity"
        how, sources, _ = answer.tell()
        found.append(Candidate(model.name, figures, open_, f"{why}; {how}; {sources[0]}"))
        open_, way = False, way or model.name
    return found


def _stored(request: Request) -> Request:
    """Return the array that is built: with check bits, of one port at the rows' temperature."""
    wide = request.width_bits + check_bits(request.ecc, request.width_bits)
    size = stored_bytes(request.size_bytes, request.width_bits, wide)
    return Request(size, wide, request.banks, request.node_nm, request.device)


def _of(request: Request) -> tuple[float, str, int, int, int]:
    return request.node_nm, request.device, request.size_bytes, request.width_bits, request.banks


def _no_rows_at_node(grid: Grid, request: Request) -> str:
    nodes = grid.nodes(request.device)
    if request.node_nm in nodes:
        return ""
    return f"no rows at {request.node_nm:g} nm {request.device}: {', '.join(map(str, nodes))}"


def _beyond(grid: Grid, request: Request) -> str:
    """Return what about an array is beyond the rows."""
    bounds = grid.bounds(request.device)
    beyond = [f"{request.size_bytes} B"] if request.size_bytes > bounds.largest else []
    beyond += [] if bounds.narrowest <= request.width_bits <= bounds.widest else [f"{request.width_bits} bits"]
    beyond += [f"{request.banks} banks"] if request.banks > MOST_BANKS else []
    return ", ".join(beyond)


def _row_refusal(grid: Grid, request: Request) -> str:
    return _no_rows_at_node(grid, request) or ("" if _of(request) in grid.keys else "CACTI was not run for this array")


def _between_refusal(grid: Grid, request: Request) -> str:
    beyond = _beyond(grid, request)
    return _no_rows_at_node(grid, request) or (f"outside the rows: {beyond}" if beyond else "")


def _between(grid: Grid, request: Request) -> Answer:
    """Return what the other rows say, where there is one of the very array."""
    of = _of(request)
    return array_answer(
        grid.without(of.__eq__, (request.node_nm, request.device)) if of in grid.keys else grid, request
    )


def _growth_refusal(grid: Grid, request: Request) -> str:
    return _no_rows_at_node(grid, request) or ("" if _beyond(grid, request) else "inside the rows")


def _node_refusal(grid: Grid, request: Request) -> str:
    return "" if _no_rows_at_node(grid, request) else f"there are rows at {request.node_nm:g} nm {request.device}"


def _formula_refusal(_: Grid, request: Request) -> str:
    nodes = formula_nodes(request.device)
    if request.node_nm in nodes:
        return ""
    return f"no formula at {request.node_nm:g} nm {request.device}: {', '.join(f'{n:g}' for n in nodes) or 'none'}"


def _formula(_: Grid, request: Request) -> Answer:
    return formula_answer(request.size_bytes, request.width_bits, request.banks, request.node_nm, request.device)


MODELS = (
    Model("row", _row_refusal, array_answer, "CACTI's own run of this array"),
    Model("interpolation", _between_refusal, _between, "the rows around it; CACTI was not run for the array itself"),
    Model("growth", _growth_refusal, array_answer, "continues the rows without a jump where they end"),
    Model("other nodes", _node_refusal, array_answer, "no rows at the node, so those of the nearest"),
    Model("formula", _formula_refusal, _formula, "no rows answer"),
)
