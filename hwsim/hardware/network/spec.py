"""What an architecture says of the network over its chip, and how it is built."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field

from hwsim.hardware.network.base import MAX_EDGE, TOPOLOGIES
from hwsim.hardware.network.energy import Network, build_network
from hwsim.hardware.technology import Technology
from hwsim.spec.bind import Spec, as_value_error
from hwsim.spec.errors import UsageError
from hwsim.spec.units import EnergyPjPerBit


def _known_topology(name: str) -> str:
    TOPOLOGIES.get(name)
    return name


class NetworkSpec(Spec):
    """The network between the DRAM port, the buffers and the array: nodes in a grid over the chip."""

    topology: Annotated[str, AfterValidator(as_value_error(_known_topology))] = Field(
        description="one of hwsim list network"
    )
    rows: int = Field(ge=1, le=MAX_EDGE, description="nodes along one edge of the chip")
    cols: int = Field(ge=1, le=MAX_EDGE, description="nodes along the other")
    router_energy: EnergyPjPerBit | None = Field(None, description="of a router per bit and hop, without its link")
    router: str | None = Field(None, description="a published router instead, see hwsim explain network mesh")


def open_network(spec: NetworkSpec, area_mm2: float, technology: Technology, key: str = "network") -> Network:
    """Return the network over a chip of that area, its nodes at one pitch: the area over the nodes, square.

    ``key`` is where an architecture names it.

    Raises
    ------
    UsageError
        If it cannot be built; MissingFigureError if its routers have no energy.
    """
    pitch_mm = math.sqrt(area_mm2 / (spec.rows * spec.cols))
    try:
        return build_network(spec.topology, spec.rows, spec.cols, pitch_mm, technology, spec.router_energy, spec.router)
    except UsageError as error:
        raise type(error)(f"{key}: {error}") from None
