"""Device files beside the file that names them: ``target: {device: ./my_board.yaml}``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwsim.hardware.fpga.device import SUFFIXES
from hwsim.spec.document import Document
from hwsim.spec.paths import replaced

#: Where an architecture may name a device.
PLACES: tuple[tuple[str, ...], ...] = (("technology",), ("technology", "name"), ("target", "device"))


def devices_beside(document: Document) -> Document:
    """Return an architecture whose relative paths of device files are those beside the file that states them.

    A path that is not there is left as it is: it then counts from the working directory.
    """
    data = document.data
    for place in PLACES:
        mark = document.mark(place)
        if mark.line:
            data = _moved(data, place, Path(mark.file).parent)
    return replace(document, data=data)


def devices_of_sweep(document: Document, folder: Path) -> Document:
    """Return a sweep whose swept device files, by relative path, are those in ``folder``, its own."""
    data = document.data
    groups: list[tuple[Any, ...]] = [("grid",), ("zip",)]
    if isinstance(data.get("zip"), list):
        groups = [("grid",), *(("zip", number) for number in range(len(data["zip"])))]
    for group in groups:
        axes = document.get(group)
        for axis, values in axes.items() if isinstance(axes, dict) else ():
            for number in range(len(values) if isinstance(values, list) else 0):
                at = (*group, axis, number)
                if axis in ("technology", "technology.name", "target.device"):
                    data = _moved(data, at, folder)
                elif axis == "target":
                    data = _moved(data, (*at, "device"), folder)
    return replace(document, data=data)


def _moved(data: dict[str, Any], place: tuple[Any, ...], folder: Path) -> dict[str, Any]:
    value: Any = data
    for part in place:
        if isinstance(value, list) and type(part) is int and part < len(value):
            value = value[part]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value.endswith(SUFFIXES):
        return data
    path = os.path.normpath(folder / value)
    return replaced(data, place, path) if Path(path).is_file() else data
