"""Technologies without figures of their own: scaled from another or between two, all sources kept.

A file that says ``scaled_from`` has either ``scale: {area, energy, delay}``, each with value and
source, or a ``law`` that gives these factors:

- ``stillmaker_baas``: the paper's equations between the two nodes and supplies (:mod:`node_scaling`),
  high-performance rows below 65 nm;
- ``foundry_steps``: a foundry's own comparison of two of its nodes (``foundry_steps.csv``).

A file that says ``between: [A, B]`` lies between two technologies that have anchors of their own: every
figure is their geometric mean at its place in log(node). There, the equations are a check and not the
law: they know nothing of the anchors, and from planar transistors to FinFETs they overshoot them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.hardware.circuits import CELLS
from hwsim.hardware.synthesis import load_calibration
from hwsim.hardware.synthesis.rows import AREA, DELAY
from hwsim.hardware.technology.fits import Flavour
from hwsim.hardware.technology.node_scaling import SMALLEST_BULK_NM, Point, Quantity, scale_factor
from hwsim.spec.data import read_csv_rows, read_yaml
from hwsim.spec.errors import MissingFigureError

#: Which factors move which figures.
FACTORS = {
    "area_um2": ("area",),
    "energy_fj_per_um2": ("energy", "-area"),
    "delay_ps_per_level": ("delay",),
    "leakage_nw_per_um2": ("leakage",),
    "register_clock_fj_per_bit": ("energy",),
    "register_energy_fj_per_bit": ("energy",),
}

#: From the file of a technology and the figures of its origin to ``{factor: {value, source}}``.
Law = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Step:
    """One factor on the way from a library to a technology."""

    origin: str
    target: str
    quantity: str
    factor: float
    source: str


def scaled_data(name: str) -> dict[str, Any]:
    """Return the figures of a technology file, completed from its library or from those that it is scaled from.

    A file with ``library`` takes the areas of cells from the calibration. Its own figures go before scaled
    ones. Energy per area moves by energy over area.
    """
    data = read_yaml("technology", f"{name}.yaml")
    if "library" in data:
        data["area_um2"] = _cells(str(data["library"]))
        if "delay_ps_per_level" not in data:
            data["delay_ps_per_level"] = _level(str(data["library"]))
    if "between" in data:
        return {**_between(data), **data}
    if "scaled_from" not in data:
        return data
    origin = scaled_data(str(data["scaled_from"]))
    scale = _factors(data, origin)
    for key, factors in FACTORS.items():
        if key in data or not all(f.lstrip("-") in scale for f in factors):
            continue
        total, sources = 1.0, []
        for factor in factors:
            inverse, entry = factor.startswith("-"), scale[factor.lstrip("-")]
            total *= 1 / entry["value"] if inverse else entry["value"]
            sources.append(f"{'/' if inverse else '×'} {entry['value']:.4g} ({entry['source']})")
        value = origin[key]["value"]
        scaled = {k: v * total for k, v in value.items()} if isinstance(value, dict) else value * total
        source = f"{origin['name']} figure {' '.join(sources)}; {origin['name']}: {origin[key]['source']}"
        data[key] = {"value": scaled, "source": source, "estimated": True}
    return data


def _cells(place: str) -> dict[str, Any]:
    """Return the areas of a synthesised library's cells, as a technology file would state them."""
    cells = load_calibration().cells.of(place)
    error = next(r for r in read_csv_rows("synthesis", "errors.csv") if (r["left_out"], r["figure"]) == ("units", AREA))
    source = (
        f"fit on synthesised units, non-negative least squares (hwsim explain calibration): cells of ASAP7 times "
        f"{load_calibration().cells.scalars[place]:.4g}, the scalar of {place}; reg is the library's own flip-flop; "
        f"unseen units median {float(error['median']):.1%}, {float(error['within_15']):.0%} within 15 %"
    )
    return {"value": {cell: cells[cell] for cell in CELLS}, "source": source, "estimated": False}


def _level(place: str) -> dict[str, Any]:
    """Return the delay of a level in a library, from ASAP7's by the calibration's scalars of delay."""
    effects, base = load_calibration().laws[DELAY].effects, scaled_data("7nm")["delay_ps_per_level"]["value"]
    ratio = math.exp(effects["library", place] - effects["library", "asap7 area"])
    source = (
        f"ASAP7 figure, {base:g} ps, times {ratio:.4g}: scalar of delay of {place} over that of asap7 area "
        "(hwsim explain calibration)"
    )
    return {"value": base * ratio, "source": source, "estimated": True}


def scaling_path(name: str) -> list[Step]:
    """Return every factor from the libraries to a technology, the first one first; empty for a library."""
    data = read_yaml("technology", f"{name}.yaml")
    if "between" in data:
        ends = [str(end) for end in data["between"]]
        steps = [step for end in ends for step in scaling_path(end)]
        return [*dict.fromkeys(steps), *_between_steps(data, *(scaled_data(end) for end in ends))]
    if "scaled_from" not in data:
        return []
    origin = scaled_data(str(data["scaled_from"]))
    scale = _factors(data, origin)
    own = [Step(origin["name"], data["name"], key, entry["value"], entry["source"]) for key, entry in scale.items()]
    return [*scaling_path(origin["name"]), *own]


def point_of(node_nm: float, vdd_v: float) -> Point:
    """Return the point of the scaling equations at which hwsim takes a technology to be: hp rows below 65 nm."""
    flavour: Flavour = "bulk" if node_nm >= SMALLEST_BULK_NM else "hp"
    return Point(node_nm, flavour, vdd_v)


def _factors(data: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    factors: dict[str, dict[str, Any]] = data["scale"] if "scale" in data else LAWS[data["law"]](data, origin)
    return factors


def _stillmaker_baas(data: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    points = [point_of(float(d["node_nm"]), float(d["vdd_v"]["value"])) for d in (origin, data)]
    found: dict[str, dict[str, Any]] = {}
    quantities: tuple[Quantity, ...] = ("area", "energy", "delay")
    for quantity in quantities:
        factor = scale_factor(quantity, points[0], points[1])
        found[quantity] = {"value": factor.value, "source": factor.source}
    return found


def _foundry_steps(data: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the foundry's factors; its saving of power is taken to hold for leakage too (per area, over area).

    Raises
    ------
    MissingFigureError
        If the foundry compared no such nodes.
    """
    pair = (float(origin["node_nm"]), float(data["node_nm"]))
    rows: dict[str, dict[str, Any]] = {
        row["quantity"]: {"value": float(row["factor"]), "source": row["source"]}
        for row in read_csv_rows("technology", "foundry_steps.csv")
        if (float(row["from_nm"]), float(row["to_nm"])) == pair
    }
    if not rows:
        raise MissingFigureError(f"no foundry factors from {pair[0]:g} to {pair[1]:g} nm")
    value = rows["energy"]["value"] / rows["area"]["value"]
    source = "factor of energy over that of area: the foundry's saving is of total power, at the same speed (estimated)"
    return {**rows, "leakage": {"value": value, "source": source}}


LAWS: dict[str, Law] = {"stillmaker_baas": _stillmaker_baas, "foundry_steps": _foundry_steps}


def _share(data: Mapping[str, Any], low: Mapping[str, Any], high: Mapping[str, Any]) -> float:
    nodes = [math.log(float(d["node_nm"])) for d in (low, data, high)]
    return (nodes[1] - nodes[0]) / (nodes[2] - nodes[0])


def _between(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures between two technologies; areas cell by cell."""
    low, high = (scaled_data(str(name)) for name in data["between"])
    share = _share(data, low, high)
    found = {}
    for key in FACTORS:
        ends = [end[key]["value"] for end in (low, high)]
        value: Any
        if isinstance(ends[0], dict):
            value = {cell: _mean(ends[0][cell], ends[1][cell], share) for cell in ends[0]}
            between = f"{low['name']} to {high['name']}"
        else:
            value = _mean(ends[0], ends[1], share)
            between = f"{low['name']} ({ends[0]:.4g}) to {high['name']} ({ends[1]:.4g})"
        found[key] = {"value": value, "source": _between_source(share, between), "estimated": True}
    return found


def _between_steps(data: Mapping[str, Any], low: Mapping[str, Any], high: Mapping[str, Any]) -> list[Step]:
    """Return the factors from the smaller node of the two, for a full adder."""
    share = _share(data, low, high)
    source = _between_source(share, f"{low['name']} to {high['name']}")
    areas = [end["area_um2"]["value"]["fa"] for end in (low, high)]
    energies = [end["energy_fj_per_um2"]["value"] * area for end, area in zip((low, high), areas, strict=True)]
    pairs = {"area": areas, "energy": energies}
    for quantity, key in (("delay", "delay_ps_per_level"), ("leakage", "leakage_nw_per_um2")):
        pairs[quantity] = [end[key]["value"] for end in (low, high)]
    return [Step(low["name"], data["name"], k, _mean(a, b, share) / a, source) for k, (a, b) in pairs.items()]


def _between_source(share: float, between: str) -> str:
    return f"geometric mean in log(node), {share:.3f} of the way from {between}; no library and no anchor in between"


def _mean(low: float, high: float, share: float) -> float:
    return float(low ** (1 - share) * high**share) if low and high else 0.0
