"""Recurrent cells of ONNX: products of input and state, and what every step does between them.

Gates, activations and element-wise operations as the definitions of RNN, GRU and LSTM in onnx.proto's operators say.
A bias is part of the product before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from hwsim.spec.errors import UsageError
from hwsim.workload.graph.collect import Collector
from hwsim.workload.graph.onnx_quant import weight_format
from hwsim.workload.graph.onnx_values import Node
from hwsim.workload.graph.onnx_vectors import ROWS
from hwsim.workload.graph.products import Product
from hwsim.workload.graph.tensor import Tensor


@dataclass(frozen=True)
class _Cell:
    """Operations of a step, each on as many elements as the state.

    ``gates`` are matrices of hidden × input and hidden × hidden; ``activations`` the default functions f, g, h with
    how many of them; ``adds`` and ``muls`` further sums and products, beside the sum of both products per gate.
    """

    gates: int
    activations: tuple[tuple[str, int], ...]
    adds: int = 0
    muls: int = 0


CELLS = {
    "RNN": _Cell(1, (("Tanh", 1),)),
    # z, r; h of the reset state. Products: r · H, (1 - z) · h, z · H; sums: 1 - z and that of the last two.
    "GRU": _Cell(3, (("Sigmoid", 2), ("Tanh", 1)), adds=2, muls=3),
    # i, o, f; c; h of the cell. Products: f · C, i · c, o · h; the sum of the first two.
    "LSTM": _Cell(4, (("Sigmoid", 3), ("Tanh", 1), ("Tanh", 1)), adds=1, muls=3),
}
#: Functions by their names in small letters, as the definitions leave case open.
_NAMES = {name.lower(): name for name in ROWS}
#: Of an LSTM, gates i, o and f with peepholes: each a product with the cell and a sum.
_PEEPHOLES = 3


def read_recurrent(node: Node, collector: Collector) -> None:
    """Add a cell: all steps at once for the input, one step after the other for the state.

    Raises
    ------
    UsageError
        If the weights do not fit, or activations are not as many as the cell has.
    """
    x, w, hidden = node.tensor(0), node.tensor(1), node.tensor(2)
    steps, batch = x.shape[:2] if not node.whole("layout", 0) else x.shape[1::-1]
    cell, directions = CELLS[node.op], w.shape[0]
    width = node.whole("hidden_size", hidden.shape[-1])
    rows = cell.gates * width
    if w.shape[1:] != (rows, x.shape[2]) or hidden.shape != (directions, rows, width):
        raise UsageError(f"{node.place}: weights of shapes {list(w.shape)} and {list(hidden.shape)} do not fit")
    # (directions, gates · hidden, inputs): the reduction is last.
    w, hidden = (replace(tensor, fmt=weight_format(tensor, 2, node.place)) for tensor in (w, hidden))
    forward = Product(steps * batch, rows, x.shape[2], directions, x, w)
    state = Product(batch, rows, width, directions, x, hidden)
    collector.product(f"{node.layer}.input", forward, "other")
    collector.product(f"{node.layer}.state", state, "other", f"{steps} steps", repeat=steps)
    _between(node, collector, cell, (batch, width), steps)
    for index, output in enumerate(node.outputs):
        if output.tensor is not None:
            node.set_output(Tensor(output.tensor.shape), index)


def _between(node: Node, collector: Collector, cell: _Cell, shape: tuple[int, int], runs: int) -> None:
    """Add what every step does on the results of its products; ``shape`` is the state's, ``runs`` of every direction.

    Functions without a program are counted as unpriced.
    """
    functions = [function for function, _ in cell.activations]
    directions = node.tensor(1).shape[0]
    given = node.attributes.get("activations") or functions * directions
    if len(given) != len(functions) * directions:
        raise UsageError(f"{node.place}: {len(given)} activations; valid: {len(functions)} of each direction")
    counts: Counter[str] = Counter()
    for at, function in enumerate(given):
        counts[_NAMES.get(function.lower(), function)] += cell.activations[at % len(functions)][1] * runs
    for function, count in counts.items():
        program = ROWS[function]["program"] if function in ROWS else ""
        if program:
            collector.vector(f"{node.layer}.act", program, shape, repeat=count)
        else:
            collector.skip(function, count)
    peepholes = _PEEPHOLES if node.op == "LSTM" and node.given(7) else 0
    for program, count in (("add", cell.gates + cell.adds + peepholes), ("mul", cell.muls + peepholes)):
        collector.vector(f"{node.layer}.gates", program, shape, repeat=count * directions * runs)
