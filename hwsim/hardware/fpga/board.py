"""What is known of an FPGA device or board: budgets by resource, regions, memory, and what is checked or left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwsim.spec.errors import MissingFigureError, UsageError

#: Resources that budgets name: logic is LUT6 or ALM, block RAM in halves of a BRAM36 or in M20K.
RESOURCES = ("lut6", "alm", "ff", "dsp", "bram18", "uram", "m20k")

#: What the logic of a device consists of, in words.
LOGIC_WORDS = {"lut6": "LUTs", "alm": "ALMs"}


@dataclass(frozen=True)
class ExternalMemory:
    """Peak bandwidth of the board's memory, and its kind (``ddr4`` or ``hbm``)."""

    bandwidth_gb_s: float
    kind: str
    source: str


@dataclass(frozen=True)
class Device:
    """A device as its file states it: ``budget`` by resource; super logic regions where there are several.

    ``checked`` has a second source by figure, ``missing`` why a figure is left out.
    """

    name: str
    part: str
    board: str
    family: str
    budget: Mapping[str, int]
    dsp_primitive: str
    regions: tuple[Mapping[str, int], ...]
    memory: ExternalMemory | None
    source: str
    checked: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def logic(self) -> str:
        """The primitive of logic: ``lut6`` or ``alm``."""
        return "lut6" if "lut6" in self.budget else "alm"

    def usable(self, shell: Mapping[str, int] | None = None, reserve: float = 0.0) -> dict[str, float]:
        """Return the budgets without a shell's part, and without the share that is kept back.

        Raises
        ------
        UsageError
            If the share is not from 0 to below 1, or the shell takes more than there is.
        MissingFigureError
            If there is a shell on ALMs.
        """
        if not 0 <= reserve < 1:
            raise UsageError(f"reserve: must be from 0 to below 100 %, not {reserve:.0%}")
        taken = shell or {}
        if self.logic == "alm" and any(taken.values()):
            raise MissingFigureError(
                f"shell: no source gives what interfaces take of {self.name}'s ALMs; valid: reserve, a share kept back"
            )
        left = {name: (count - taken.get(name, 0)) * (1 - reserve) for name, count in self.budget.items()}
        short = [name for name, count in left.items() if count < 0]
        if short:
            raise UsageError(f"{self.name}: the shell takes more {', '.join(short)} than the device has")
        return left

    @property
    def crossings(self) -> int:
        """Borders between its super logic regions."""
        return max(0, len(self.regions) - 1)
