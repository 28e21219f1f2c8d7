"""What became of a point: its metrics, or the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from hwsim.explore.space import Point
from hwsim.spec.errors import HwsimError, InfeasibleError, SpecError

#: ``ok``: has metrics. ``infeasible``: legal to write, cannot run the workload. ``failed``: an error.
Status = Literal["ok", "infeasible", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
#: In a table also ``excluded``: has metrics, but does not meet a constraint.
RowStatus = Literal["ok", "excluded", "infeasible", "failed"]
ROW_STATUSES: tuple[RowStatus, ...] = get_args(RowStatus)

#: Takes one point, returns its metrics by column name. It must be picklable and a pure function.
Evaluate = Callable[[Point], Mapping[str, Any]]

Cell = int | float | str | bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one point.

    ``transient`` marks a failure that another try may not repeat (no memory, a killed worker).
    """

    index: int
    status: Status
    reason: str = ""
    row: dict[str, Cell] = field(default_factory=dict)
    transient: bool = False


def evaluate_safely(evaluate: Evaluate, point: Point) -> Outcome:
    """Evaluate ``point``; whatever goes wrong becomes an outcome with the reason.

    Interrupts are not caught.
    """
    try:
        return _settled(point.index, evaluate(point))
    except InfeasibleError as error:
        return Outcome(point.index, "infeasible", one_line(error))
    except HwsimError as error:
        return Outcome(point.index, "failed", one_line(error))
    except (MemoryError, OSError) as error:
        return Outcome(point.index, "failed", f"{type(error).__name__}: {one_line(error)}", transient=True)
    except Exception as error:
        return Outcome(point.index, "failed", f"internal error: {type(error).__name__}: {one_line(error)}")


def _settled(index: int, returned: Any) -> Outcome:
    if not isinstance(returned, Mapping):
        raise TypeError(f"the evaluation returned {type(returned).__name__}, not a mapping of metrics")
    row = {str(name): _cell(name, value) for name, value in returned.items()}
    status, reason = row.pop("status", "ok"), row.pop("reason", "")
    if status not in STATUSES:
        raise ValueError(f"the evaluation returned status {status!r}, not one of {', '.join(STATUSES)}")
    if status != "ok":
        return Outcome(index, status, str(reason or ""), row)
    broken = [name for name, value in row.items() if isinstance(value, float) and math.isnan(value)]
    if broken:
        return Outcome(index, "failed", f"{', '.join(broken)} is not a number (NaN)")
    return Outcome(index, "ok", "", row)


def _cell(name: object, value: Any) -> Cell:
    """Return a plain Python value; numpy scalars lose their wrapping."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is not None and not isinstance(value, (int, float, str)):
        raise TypeError(f"metric {name!r} is a {type(value).__name__}, not a number, a word or None")
    return value


def one_line(error: BaseException) -> str:
    """Return the message of ``error`` on one line, for a table cell."""
    text = str(error)
    if isinstance(error, SpecError):
        text = "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in error.problems)
    # A file name that is no UTF-8 has surrogates, which no store or CSV file takes.
    return " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
