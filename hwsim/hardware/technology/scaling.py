"""Technologies that are scaled from another: its figures times one factor each, both sources kept."""

from __future__ import annotations

from typing import Any

from hwsim.hardware.circuits import CELLS
from hwsim.hardware.synthesis import load_calibration
from hwsim.hardware.synthesis.rows import AREA
from hwsim.spec.data import read_csv_rows, read_yaml

#: Which factors move which figures.
FACTORS = {
    "area_um2": ("area",),
    "energy_fj_per_um2": ("energy", "-area"),
    "delay_ps_per_level": ("delay",),
    "register_clock_fj_per_bit": ("energy",),
    "register_energy_fj_per_bit": ("energy",),
}


def scaled_data(name: str) -> dict[str, Any]:
    """Return the figures of a technology file, completed from its library or the one that it is scaled from.

    A file with ``library`` takes the areas of cells from the calibration. One with ``scaled_from`` has
    ``scale: {area, energy, delay}``, each with value and source.
    Its own figures go before scaled ones. Energy per area moves by energy over area.
    """
    data = read_yaml("technology", f"{name}.yaml")
    if "library" in data:
        data["area_um2"] = _cells(str(data["library"]))
    if "scaled_from" not in data:
        return data
    origin = scaled_data(str(data["scaled_from"]))
    scale = data["scale"]
    for key, factors in FACTORS.items():
        if key in data:
            continue
        total, sources = 1.0, []
        for factor in factors:
            inverse, entry = factor.startswith("-"), scale[factor.lstrip("-")]
            total *= 1 / entry["value"] if inverse else entry["value"]
            sources.append(f"{'/' if inverse else '×'} {entry['value']:g} ({entry['source']})")
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
