"""What a bit costs in a network: hops × what stands at a hop + wire × energy per mm × activity."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.formats.operand import RANDOM_TOGGLE
from hwsim.hardware.circuits import Register
from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology
from hwsim.hardware.technology import Point, Technology, scale_factor
from hwsim.hardware.technology.scaling import point_of
from hwsim.spec.data import read_csv_rows
from hwsim.spec.errors import MissingFigureError, UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class Stop:
    """What stands at a hop: energy per bit, whether that covers the link behind it, and its source."""

    pj_per_bit: float
    with_link: bool
    source: str
    estimated: bool


def published_routers() -> dict[str, dict[str, str]]:
    """Return the rows of published routers by name."""
    return {row["name"]: row for row in read_csv_rows("network", "routers.csv")}


@dataclass(frozen=True)
class Network:
    """A topology over a grid of one pitch in a technology.

    ``activity`` is the transitions per bit moved; 0.5 is that of random bits.
    """

    topology: Topology
    grid: Grid
    pitch_mm: float
    technology: Technology
    stop: Stop
    activity: float = RANDOM_TOGGLE

    def length_mm(self, route: Route) -> float:
        """Return the wire of a transfer."""
        return float(route.pitches) * self.pitch_mm

    def link_pj(self, route: Route) -> float:
        """Return the energy in the wires of a transfer, per bit; 0 where the router's figure covers them."""
        if self.stop.with_link:
            return 0.0
        return self.length_mm(route) * self.technology.wire_fj_per_bit_mm * self.activity * 1e-3

    def stop_pj(self, route: Route) -> float:
        """Return the energy in the routers or registers of a transfer, per bit."""
        return float(route.hops) * self.stop.pj_per_bit

    def pj_per_bit(self, route: Route) -> float:
        """Return the energy of a transfer, per bit: wires and stops."""
        return self.link_pj(route) + self.stop_pj(route)

    def delay_ns(self, route: Route) -> float:
        """Return the time in the wires of a transfer, one after the other; routers and registers not included."""
        return self.length_mm(route) * self.technology.wire.delay_ns_per_mm


def build_network(
    topology: str,
    rows: int,
    cols: int,
    pitch_mm: float,
    technology: Technology,
    router_pj_per_bit: float | None = None,
    router: str | None = None,
    activity: float = RANDOM_TOGGLE,
) -> Network:
    """Return a network.

    ``router_pj_per_bit`` is the energy of a router per bit and hop without its link; ``router`` names
    a published one instead, scaled to the technology.

    Raises
    ------
    MissingFigureError
        If the topology has routers and their energy is not given.
    UsageError
        If a name is unknown, a router is given to a topology without any, or a number is out of range.
    """
    kind = TOPOLOGIES.get(topology)
    if not pitch_mm > 0:
        raise UsageError(f"network pitch must be positive, not {pitch_mm!r} mm")
    if not 0 <= activity <= 1:
        raise UsageError(f"network activity must be between 0 and 1, not {activity!r}")
    grid = Grid(rows, cols)
    kind.unicast(grid)  # refuses a grid that the topology cannot have
    stop = _stop(kind, technology, router_pj_per_bit, router)
    return Network(kind, grid, pitch_mm, technology, stop, activity)


def _stop(kind: Topology, technology: Technology, energy: float | None, published: str | None) -> Stop:
    known = published_routers()
    if kind.stop != "router":
        if energy is not None or published is not None:
            raise UsageError(f"{kind.name} has no routers; leave router and router_energy out")
        if kind.stop == "wire":
            return Stop(0.0, False, "nothing but wire and its repeaters", False)
        held = technology.price(Register(1))
        source = f"a flip-flop of {technology.name}, its clock pin included"
        return Stop((held.energy_fj + held.clock_fj) * 1e-3, False, source, True)
    if energy is not None and published is not None:
        raise UsageError("give router_energy or router, not both")
    if energy is not None:
        return Stop(energy, False, "given: router_energy, per bit and hop, its link not included", False)
    if published is None:
        raise MissingFigureError(
            f"{kind.name}: no energy of its routers is given and none is assumed; set router_energy (such as "
            f"0.1 pJ/bit, per bit and hop) or router to a published one, {', '.join(sorted(known))}"
        )
    if published not in known:
        raise UsageError(f"unknown router {published!r}; {did_you_mean(published, known)}")
    return _scaled(known[published], technology)


def _scaled(row: dict[str, str], technology: Technology) -> Stop:
    """Return a published router at the technology's node and supply."""
    origin = Point(float(row["node_nm"]), row["flavour"], float(row["vdd_v"]))  # type: ignore[arg-type]
    factor = scale_factor("energy", origin, point_of(technology.node_nm, technology.vdd_v))
    source = f"{row['source']}; {row['scope']}; × {factor.value:.4g} ({factor.source})"
    return Stop(float(row["pj_per_bit"]) * factor.value, True, source, True)
