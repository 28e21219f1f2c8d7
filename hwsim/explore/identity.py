"""What makes two evaluations the same: the hash under which a result is stored.

The hash covers everything that a result depends on: the architecture with the point's values set,
the workload, the content of every file that either of them names, the engine, and the model
itself (a fingerprint of hwsim's own code and data). It does not cover the sweep's name, its other
points, constraints or objectives, so a wider sweep finds the results of a narrower one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwsim.explore.space import Point
from hwsim.explore.spec import Sweep
from hwsim.explore.values import canonical_json
from hwsim.formats.measured import PREFIX, measured_path
from hwsim.formats.own import SUFFIXES
from hwsim.formats.own import digests as format_digests
from hwsim.spec.document import load_document
from hwsim.spec.errors import SpecError
from hwsim.workload import Gemm, Trace
from hwsim.workload.ops import Op

#: Wings and rooms of hwsim whose code or data can change a result.
MODEL_PARTS = ("spec", "formats", "hardware", "workload", "simulate", "explore/evaluation.py", "data")

#: Files of which only a header says what runs, and how much of their beginning counts beside the trace: they may
#: be larger than memory.
HEADED = (".gguf", ".safetensors")
HEAD_BYTES = 1 << 20


@lru_cache(maxsize=1)
def model_revision() -> str:
    """Return a fingerprint of the code and data that results depend on (16 hex digits).

    A result computed by one revision is never taken for one of another.
    """
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for part in MODEL_PARTS:
        for path in sorted({root / part, *(root / part).rglob("*")}):
            if path.is_file() and path.suffix not in (".pyc", ".pyo"):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Identity:
    """Keys of a sweep's points.

    Parameters
    ----------
    sweep
        The sweep.
    revision
        Fingerprint of what computes the results; default :func:`model_revision`.

    Attributes
    ----------
    basis
        The hash of what all points share: the revision and the files that the sweep names.
    """

    def __init__(self, sweep: Sweep, revision: str | None = None) -> None:
        self._sweep = sweep
        self._revision = model_revision() if revision is None else revision
        self._files: dict[str, str] = {}
        self._own = format_digests()
        traces = sweep.trace_digests or ("",) * len(sweep.spec.workloads)
        self._workloads = [
            canonical_json([workload, trace, self._contents(workload, sweep.folder)])
            for workload, trace in zip(sweep.spec.workloads, traces, strict=True)
        ]
        files = self._contents(sweep.arch.data, sweep.arch_path.parent)
        self.basis = _sha256(canonical_json([self._revision, self._workloads, files]))

    def key(self, point: Point) -> str:
        """Return the SHA-256 of all that the result of ``point`` depends on."""
        arch = self._sweep.resolved(point).data
        parts = {
            "arch": {key: value for key, value in arch.items() if key != "description"},
            "files": self._contents(arch, self._sweep.arch_path.parent),
            "workload": self._workloads[point.workload],
            "engine": self._sweep.spec.engine,
            "revision": self._revision,
        }
        return _sha256(canonical_json(parts))

    def _contents(self, data: Any, folder: Path) -> dict[str, str]:
        """Return the hash of every file that ``data`` names.

        Relative to ``folder`` or, as device files are, to the working directory; or by the name of its format.
        """
        texts = set(_texts(data))
        named = {text: digest for text in texts if (digest := self._file(text, folder) or self._device(text))}
        return named | self._formats("\n".join(texts))

    def _formats(self, text: str) -> dict[str, str]:
        """Return the hash of every format file whose format may be named in ``text``."""
        return {f"format {name}": digest for name, digest in self._own.items() if name in text}

    def _device(self, text: str) -> str:
        """Return the hash of the device file of that path, empty if it is no such path."""
        return self._file(text, Path()) if text.endswith(SUFFIXES) else ""

    def _file(self, text: str, folder: Path) -> str:
        name = str(folder / text)
        if name not in self._files:
            self._files[name] = ""  # a file that leads back to itself is hashed once
            self._files[name] = self._digest(Path(name))
        return self._files[name]

    def _digest(self, path: Path) -> str:
        """Return the hash of a file, or of a model folder's ``config.json``; empty if there is neither.

        The hash of a YAML file covers its bases and the files that it names; that of a checkpoint its size and the
        beginning of its header, all of which stands in the trace that is made of it (:func:`trace_digest`).
        """
        try:
            path = path / "config.json" if path.is_dir() else path
            if path.suffix.lower() in HEADED and path.is_file():
                with path.open("rb") as stream:
                    return _sha256(f"{path.stat().st_size} {hashlib.sha256(stream.read(HEAD_BYTES)).hexdigest()}")
            raw = path.read_bytes() if path.is_file() else None
        except (OSError, ValueError):
            return ""
        if raw is None:
            return ""
        if path.suffix.lower() in (".yaml", ".yml"):
            try:
                data = load_document(path).data
                return _sha256(canonical_json([data, self._contents(data, path.parent)]))
            except SpecError:
                pass  # not a document of hwsim; its bytes count
        formats = self._formats(raw.decode("utf-8", "replace"))
        return _sha256(canonical_json([hashlib.sha256(raw).hexdigest(), formats]))


def trace_digest(trace: Trace) -> str:
    """Return the hash of all operations of a trace, and of files with measured statistics that they name."""
    files: dict[Path, str] = {}
    digest = hashlib.sha256()
    for op in trace.ops:
        text = repr(op)
        for word in {word for stats in _statistics(op) for word in stats.split() if word.startswith(PREFIX)}:
            path = measured_path(word)
            if path not in files:
                files[path] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            text = text.replace(word, f"{files[path]}#{word.partition('#')[2]}")  # the content counts, not the place
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def _statistics(op: Op) -> tuple[str, ...]:
    return (op.w_stats, op.a_stats) if isinstance(op, Gemm) else ()


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _texts(value)


def sweep_identity(sweep: Sweep) -> str:
    """Return the hash of what a sweep enumerates, whatever the model's revision."""
    spec = sweep.spec
    parts = {
        "name": spec.name,
        "arch": sweep.arch.data,
        "workloads": spec.workloads,
        "engine": spec.engine,
        "axes": [[axis.paths, axis.steps] for axis in spec.axes()],
        "tie": spec.tie,
        "latin_hypercube": spec.latin_hypercube.model_dump() if spec.latin_hypercube else None,
    }
    return _sha256(canonical_json(parts))
