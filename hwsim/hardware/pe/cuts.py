"""Registers that cut a datapath into stages: how wide they are."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.hardware.circuits import Part, largest, path_levels

#: Simpson's rule over the progress of a part.
SIMPSON = ((0.0, 1 / 6), (0.5, 4 / 6), (1.0, 1 / 6))


def cut_bits(parts: Sequence[Part], least_bits: int) -> int:
    """Return the bits of a register that cuts the path of ``parts``, at least ``least_bits``.

    That is the mean over the path, by delay, of what is live: in the part at work, in all copies of it side by
    side, and what passes by. Cuts fall on narrow and on wide places; a mean over all does not jump with the
    clock (estimated). Parts that deal with exponents and state nothing beside them have what the next part
    makes.
    """
    path = [part for part in parts if part.on_path]
    levels = path_levels(path)
    held, seen = 0.0, 0.0
    for number, (part, own) in enumerate(zip(path, levels, strict=True)):
        side_by_side = part.count / part.in_series
        live = sum(part.circuit.live_bits(done) * share for done, share in SIMPSON) + part.beside_bits
        if part.group == "exponent" and not part.beside_bits:
            beside = next((p for p in path[number + 1 :] if p.group != "exponent"), None)
            held += own * beside.circuit.live_bits(1.0) * beside.count / beside.in_series if beside else 0.0
        held += own * live * side_by_side
        seen += own
    return largest(least_bits, round(held / seen)) if seen else least_bits
