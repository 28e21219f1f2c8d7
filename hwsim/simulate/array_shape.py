"""From the ``array`` of an architecture file to the shape that a dataflow sees, and the bits at its edges."""

from __future__ import annotations

from math import ceil

from hwsim.formats import Format
from hwsim.hardware.accelerator_spec import ArraySpec
from hwsim.hardware.pe import PE
from hwsim.simulate.dataflow import ArrayShape, Dataflow
from hwsim.simulate.dataflow.base import Pads


def array_shape(spec: ArraySpec, lanes: int) -> ArrayShape:
    """Return the array of PEs of so many lanes as the file describes it, before ports and formats slow it down."""
    pads = spec.scratchpads
    return ArrayShape(
        rows=spec.rows,
        cols=spec.cols,
        lanes=lanes,
        double_buffer=spec.weight_double_buffer,
        fold_overlap=spec.fold_overlap,
        used_only=spec.ragged == "used",
        pads=Pads(pads.weights, pads.activations, pads.sums) if pads else None,
    )


def element_bits(pe: PE, w: Format, a: Format) -> dict[str, int]:
    """Return whole bits per element on the array's wires and ports, scales shared out."""
    return {"w": ceil(w.bits_per_element), "a": ceil(a.bits_per_element), "psum": pe.mode(w, a).psum_bits}


def held_bits(dataflow: Dataflow, spec: ArraySpec, pe: PE) -> int:
    """Return the bits of the stationary operand that a PE holds, in the mode that needs most."""
    return max(
        dataflow.held(array_shape(spec, mode.lanes))
        * element_bits(mode, mode.w_format, mode.a_format)[
            "psum" if dataflow.stationary == "o" else dataflow.stationary
        ]
        for mode in pe.modes
    )


def widest_ports(dataflow: Dataflow, spec: ArraySpec, pe: PE) -> dict[str, int]:
    """Return the bits per cycle at the edges of an array, by buffer: what the widest mode of its PEs needs."""
    needed = [
        dataflow.port_bits(array_shape(spec, mode.lanes), element_bits(mode, mode.w_format, mode.a_format))
        for mode in pe.modes
    ]
    return {key: max(bits[key] for bits in needed) for key in needed[0]}
