"""From the ``array`` of an architecture file to the shape that a dataflow sees, and the bits at its edges."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from hwsim.formats import Format
from hwsim.hardware.accelerator_spec import ArraySpec, HardwareSpec, IssueSpec
from hwsim.hardware.pe import PE
from hwsim.hardware.tables import table_making
from hwsim.simulate.dataflow import ArrayShape, Dataflow
from hwsim.simulate.dataflow.base import Issue, Pads, Tables
from hwsim.spec.errors import MissingFigureError


def array_shape(spec: HardwareSpec, pe: PE) -> ArrayShape:
    """Return the array of PEs as the file describes it, before ports and formats slow it down."""
    array, making = spec.array, table_making(spec, pe)
    pads = array.scratchpads
    return ArrayShape(
        rows=array.rows,
        cols=array.cols,
        lanes=pe.lanes,
        double_buffer=array.weight_double_buffer,
        fold_overlap=array.fold_overlap,
        used_only=array.ragged == "used",
        pads=Pads(pads.weights, pads.activations, pads.sums) if pads else None,
        tables=Tables(making.cycles, making.ahead, making.expansion) if making else Tables(),
        issue=_issue(array.issue) if array.issue else Issue(),
    )


def _issue(spec: IssueSpec) -> Issue:
    """Return the instructions for operands that PEs take as they are."""
    counts = {
        name: getattr(spec, name)
        for name in (
            "rows", "vectors", "unroll", "mac", "load_weights", "load_activations", "prepare_activations", "store",
        )
    }  # fmt: skip
    return Issue(**counts, separate=spec.pipes == "separate")


def converting(shape: ArrayShape, spec: ArraySpec, pe: PE, w: Format, a: Format) -> ArrayShape:
    """Return ``shape`` with the conversions that operands of these formats need.

    Raises
    ------
    MissingFigureError
        If they need one whose instructions are not given.
    """
    if spec.issue is None:
        return shape
    counts = {}
    for role, found, built in (("weights", w, pe.w_format), ("activations", a, pe.a_format)):
        if found.element == built.element:
            continue
        given = getattr(spec.issue, f"convert_{role}")
        if given is None:
            raise MissingFigureError(
                f"array.issue.convert_{role}: is missing, and {role} of {found.name} are not the {built.name} that PEs "
                "multiply; valid: the cycles of their conversion, 0 where loads convert"
            )
        counts[f"convert_{role}"] = given
    return replace(shape, issue=replace(shape.issue, **counts))


def stored_bits(pe: PE, w: Format, a: Format) -> dict[str, int]:
    """Return whole bits per element at the buffers' ports, scales shared out."""
    return {**element_bits(pe, w, a), "w": ceil(w.bits_per_element), "a": ceil(a.bits_per_element)}


def element_bits(pe: PE, w: Format, a: Format) -> dict[str, int]:
    """Return whole bits per element on the array's wires, scales shared out: behind decoders, where there are any."""
    mode, (w, a) = pe.mode(w, a), pe.arriving(w, a)
    return {"w": ceil(w.bits_per_element), "a": ceil(a.bits_per_element), "psum": mode.psum_bits}


def held_bits(dataflow: Dataflow, spec: HardwareSpec, pe: PE) -> int:
    """Return the bits of the stationary operand that a PE holds, in the mode that needs most."""
    return max(
        dataflow.held(array_shape(spec, mode))
        * element_bits(mode, mode.w_format, mode.a_format)[
            "psum" if dataflow.stationary == "o" else dataflow.stationary
        ]
        for mode in pe.modes
    )


def widest_ports(dataflow: Dataflow, spec: HardwareSpec, pe: PE) -> dict[str, int]:
    """Return the bits per cycle at the edges of an array, by buffer: what the widest mode of its PEs needs."""
    needed = [
        dataflow.port_bits(array_shape(spec, mode), element_bits(mode, mode.w_format, mode.a_format))
        for mode in pe.modes
    ]
    return {key: max(bits[key] for bits in needed) for key in needed[0]}
