"""A network between PEs, tiles or cores: hops, wire and energy of a transfer, with every source."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hwsim.hardware.network import TOPOLOGIES, Network, build_network, published_routers
from hwsim.hardware.technology.spec import ConditionsSpec, open_technology
from hwsim.report.explain import EXPLAINERS, Question, Section, cited, table
from hwsim.spec.bind import validate_mapping
from hwsim.spec.errors import UsageError, did_you_mean
from hwsim.spec.units import EnergyPjPerBit, LengthMm


class NetworkSettings(ConditionsSpec):
    """The network that is explained."""

    rows: int = Field(4, ge=1)
    cols: int = Field(4, ge=1)
    pitch: LengthMm = Field(1.0, description="distance of neighbours")
    activity: float = Field(0.5, ge=0, le=1, description="transitions per bit moved")
    router_energy: EnergyPjPerBit | None = Field(None, description="per bit and hop, its link not included")
    router: str | None = Field(None, description="a published router, scaled to the technology")


@EXPLAINERS.register("network")
def explain_network(name: str, question: Question) -> list[Section]:
    """Return what a bit costs to one node and to all of them, and the figures behind it."""
    if name not in TOPOLOGIES:
        raise UsageError(f"unknown network {name!r}; {did_you_mean(name, TOPOLOGIES.names())}")
    s = validate_mapping(question.settings, NetworkSettings, "--set")
    technology = open_technology(question.technology, s)
    network = build_network(name, s.rows, s.cols, s.pitch, technology, s.router_energy, s.router, s.activity)
    where = f"{s.rows} × {s.cols} nodes, pitch {s.pitch:g} mm, {technology.name} at {technology.vdd_v:g} V"
    notes = [
        f"{network.topology.summary}; to one node: {network.topology.traffic}",
        "energy per bit moved = hops × stop + wire × energy per mm × activity; delay is that of the wires alone",
    ]
    return [Section(f"{name}: {where}", _transfers(network), notes), _figures(network)]


def _transfers(network: Network) -> Any:
    routes = {
        "to one node, mean": network.topology.unicast(network.grid),
        "to one node, longest": network.topology.longest(network.grid),
        "to all nodes": network.topology.broadcast(network.grid),
    }
    # A bus drives more wire than lies between its farthest nodes, side by side.
    farthest_ns = network.delay_ns(routes["to one node, longest"])
    return table([
        {"transfer": what, "hops": float(route.hops), "wire (mm)": network.length_mm(route),
         "wires (pJ/bit)": network.link_pj(route), "stops (pJ/bit)": network.stop_pj(route),
         "total (pJ/bit)": network.pj_per_bit(route),
         "wire delay (ns)": "" if what == "to all nodes" else f"{min(network.delay_ns(route), farthest_ns):.4g}"}
        for what, route in routes.items()
    ])  # fmt: skip


def _figures(network: Network) -> Section:
    wire, stop = network.technology.wire, network.stop
    rows, notes = cited([
        {"figure": "wire (fJ per transition, bit and mm)", "value": wire.energy_fj_per_bit_mm,
         "estimated": "yes" if wire.estimated else "no", "source": wire.source},
        {"figure": "wire (ns/mm)", "value": wire.delay_ns_per_mm, "estimated": "yes" if wire.estimated else "no",
         "source": wire.source},
        {"figure": "activity (transitions per bit)", "value": network.activity, "estimated": "no",
         "source": "--set activity; random bits make 0.5"},
        {"figure": f"{network.topology.stop} at a hop (pJ/bit)", "value": stop.pj_per_bit,
         "estimated": "yes" if stop.estimated else "no", "source": stop.source},
    ])  # fmt: skip
    if stop.with_link:
        notes.append("the figure of the router covers its link: no wire is added")
    if network.topology.stop == "router":
        notes.append(f"published routers: {', '.join(sorted(published_routers()))}")
    return Section("figures", table(rows), notes)
