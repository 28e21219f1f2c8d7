"""Where a cost comes from: one file per kind of thing, each with tables that carry their sources.

An explainer takes a name and a :class:`Question` and returns :class:`Section` objects; it registers
itself under the kind that ``hwsim explain KIND NAME`` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwsim.hardware.fpga.device import is_device
from hwsim.spec.registry import Registry

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from hwsim.hardware.technology import Technology


@dataclass(frozen=True)
class Section:
    """A table with a title and remarks below it; ``draw`` makes a picture of it, where there is one."""

    title: str
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    draw: Callable[[], Figure] | None = None


@dataclass(frozen=True)
class Question:
    """What a name alone leaves open: further fields, technology, clock in Hz, and further names.

    Of PEs also an area to fill, a throughput to reach (operations per second), what is stated of
    their operands, and an FPGA device as target, with a clock that counts there (None: not stated) and the stages of
    the PE; of a mapping the layer, and how the workload is shaped.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    technology: str = "28nm"
    clock_hz: float = 1e9
    iso_area_mm2: float | None = None
    iso_throughput: float | None = None
    w_stats: str = ""
    a_stats: str = ""
    others: Sequence[str] = ()
    layer: str = ""
    target: str = ""
    workload: Mapping[str, Any] = field(default_factory=dict)
    target_clock_hz: float | None = None
    stages: int | None = None

    @property
    def on_device(self) -> str:
        """The FPGA device that is asked about, by target or in the place of a technology; empty if there is none."""
        return self.target or (self.technology if is_device(self.technology) else "")


Explainer = Callable[[str, Question], list[Section]]

EXPLAINERS: Registry[Explainer] = Registry("explain", "hwsim.report.explain")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return ``rows`` as a frame, its columns in the order of the first row or as given."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=None if columns is None else list(columns))


def cited(rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return ``rows`` with a number in the place of each ``source``, and the numbered sources."""
    numbers = {text: i for i, text in enumerate(dict.fromkeys(row["source"] for row in rows), 1)}
    numbered = [{**row, "source": f"[{numbers[row['source']]}]"} for row in rows]
    return numbered, [f"[{i}] {text}" for text, i in numbers.items()]


def constants_section(technology: Technology, title: str) -> Section:
    """Return every constant of a technology with its source."""
    rows, notes = cited([
        {"constant": c.name, "value": c.value, "unit": c.unit, "estimated": "yes" if c.estimated else "no",
         "source": c.source}
        for c in technology.constants()
    ])  # fmt: skip
    return Section(title, table(rows), notes)


__all__ = ["EXPLAINERS", "Explainer", "Question", "Section", "cited", "constants_section", "table"]
