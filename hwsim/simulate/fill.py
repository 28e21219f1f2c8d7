"""The largest array that an FPGA device holds beside its buffers, in the place of the file's rows and columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hwsim.hardware.accelerator_spec import HardwareSpec
from hwsim.hardware.fpga.device import load_device, shell_resources
from hwsim.hardware.pe import make_pe
from hwsim.hardware.target import Budget, largest_array
from hwsim.spec.errors import InfeasibleError

S = TypeVar("S", bound=HardwareSpec)
R = TypeVar("R")


def filled(spec: S, build: Callable[[S], R], shared: frozenset[str]) -> R:
    """Return what ``build`` makes of ``spec`` with the largest square array that the device holds.

    Wider arrays need wider ports, and so other memories: whether one fits is not monotonous in its side. So sides
    are tried from that of an array alone on the device downwards.

    Raises
    ------
    InfeasibleError
        If not even one PE fits.
    """
    assert spec.device is not None
    device, target = load_device(spec.device), spec.target
    usable = device.usable(shell_resources(target.shell), target.reserve)
    copies = spec.cores.count if spec.cores is not None else 1
    budget, pe = Budget(usable), make_pe(spec.pe)
    side = largest_array(pe, device, budget, target.dsp, shared, stages=target.stages, copies=copies).cols
    given = target.model_copy(update={"fill": False})
    while True:
        array = spec.array.model_copy(update={"rows": side, "cols": side})
        try:
            return build(spec.model_copy(update={"array": array, "target": given}))
        except InfeasibleError:
            if side == 1:
                raise
            side -= 1
