"""Networks between PEs, tiles or cores: hops, wire and energy per bit of each topology."""

from __future__ import annotations

from hwsim.hardware.network.base import TOPOLOGIES, Grid, Route, Topology
from hwsim.hardware.network.energy import Network, Stop, build_network, published_routers

__all__ = ["TOPOLOGIES", "Grid", "Network", "Route", "Stop", "Topology", "build_network", "published_routers"]
