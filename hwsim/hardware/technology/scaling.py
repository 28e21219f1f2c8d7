"""Technologies that are scaled from another: its figures times one factor each, both sources kept."""

from __future__ import annotations

from typing import Any

from hwsim.spec.data import read_yaml

#: Which factors move which figures.
FACTORS = {
    "area_um2": ("area",),
    "energy_fj_per_um2": ("energy", "-area"),
    "delay_ps_per_level": ("delay",),
    "register_clock_fj_per_bit": ("energy",),
    "register_energy_fj_per_bit": ("energy",),
}


def scaled_data(name: str) -> dict[str, Any]:
    """Return the figures of a technology file, completed from the one that it is scaled from.

    A file with ``scaled_from`` has ``scale: {area, energy, delay}``, each with value and source.
    Its own figures go before scaled ones. Energy per area moves by energy over area.
    """
    data = read_yaml("technology", f"{name}.yaml")
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
