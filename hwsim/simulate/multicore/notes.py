"""What a run on several cores says of how they shared the work."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.simulate.architecture import Simulated

#: What a core gets, by what a GEMM is cut along.
CUTS = {
    "m": "rows of outputs (m)", "n": "columns of outputs (n)", "k": "parts of sums (k)", "batch": "whole instances",
    "alone": "nothing but one, which does all",
}  # fmt: skip


def core_notes(simulated: Simulated, splits: Mapping[str, str]) -> tuple[str, ...]:
    """Return how GEMMs were cut, by layer, and what the cores share; nothing on a chip of one core."""
    asked = simulated.spec.cores
    if asked is None or asked.count == 1:
        return ()
    by_split: dict[str, list[str]] = {}
    for layer, split in splits.items():
        by_split.setdefault(split, []).append(layer)
    cuts = "; ".join(f"{CUTS[split]}: {', '.join(layers)}" for split, layers in sorted(by_split.items()))
    network = asked.network.over(asked.count)
    notes = [
        f"{asked.count} cores share the DRAM port, first come first served, through a {network.topology} of "
        f"{network.rows} × {network.cols}, whose own bandwidth is taken to be enough; each gets {cuts}"
    ]
    if asked.multicast:
        notes.append(
            "cores.multicast: cores cut along m or n go from tile to tile together and read what all need once"
        )
    if "k" in by_split:
        way = "a ring, every tile waiting for it" if asked.reduce == "network" else "DRAM, after the products"
        notes.append(f"cores.reduce: partial sums of cores come together through {way}")
    if simulated.spec.device is None:
        notes.append("cores: the area and the leakage of what connects them are not in area_mm2 and the energies")
    return tuple(notes)
