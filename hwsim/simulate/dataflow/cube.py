"""3-D cube: M on rows, N on columns, K in depth: ``rows × cols`` adder trees of ``lanes`` products, all at once.

The arrangement of the cube units of Huawei's DaVinci cores (16 × 16 × 16, Hot Chips 31) and of the cube that
arXiv 2503.06342 compares arrays by (8 × 8 × 8 there). The depth is the ``lanes`` of the PE: its
multipliers, the tree that adds their products, and one accumulator, priced as its parts; ``rows · cols · lanes``
is the peak. All three operands have a face of the cube: ``rows × lanes`` activations, ``cols × lanes``
weights, and ``rows × cols`` sums, which go to the output buffer or come back from it all at once, in
``D = drain_interval`` cycles, as many as its port takes for the face (one where it is as wide).

A fold takes ``X = ceil(K / lanes) · interval`` cycles and D, another D where it continues partial sums; a
GEMM that fits in all dimensions 1 + 1 cycles. From fold to fold X + D, with sums that are continued
X + 2D, or X + D with ``fold_overlap``, when sums come in as others go out; with a double buffer
``max(X, D)``. Nothing of it depends on the rows and columns that a fold uses.

Wires: operands as in :mod:`hwsim.simulate.dataflow.broadcast`, on buses across rows and columns, to the
trees of a whole row or column; a sum has a wire to the edge, in the mean half of the rows long, and no
registers on its way. What the third dimension costs in wire length, if trees are folded into a plane, is in
the pitch of a PE.

Lockstep as in a broadcast array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hwsim.simulate.dataflow.base import DATAFLOWS, ArrayShape
from hwsim.simulate.dataflow.broadcast import Broadcast
from hwsim.simulate.dataflow.sums_array import FaceArray, SumsArray


class Cube(Broadcast):
    """A broadcast array whose sums have a port as wide as all of them."""

    name: ClassVar[str] = "cube"
    summary: ClassVar[str] = "rows × columns of adder trees over the PEs' lanes, operands and sums by the face"
    at_once: ClassVar[bool] = True
    array_kind: ClassVar[type[SumsArray]] = FaceArray
    without_effect: ClassVar[Mapping[str, str]] = {"ragged": "a face takes as long, whatever of it is in use"}

    def edge_bits(self, shape: ArrayShape, bits: dict[str, int]) -> dict[str, int]:
        """Two faces of operands per step, a face of sums per drain."""
        return {**super().edge_bits(shape, bits), "o": shape.rows * shape.cols * bits["psum"]}


DATAFLOWS.register("cube")(Cube())
