"""Compare number formats on one architecture: the same array, each format on the PE built for it.

On an ASIC by energy, on an FPGA device, where no source gives any, by what is taken of the device and by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.explore.error_band import error_text, lut_error
from hwsim.explore.grounds import Ground, ground_of, ground_of_row
from hwsim.hardware.fpga.board import LOGIC_WORDS
from hwsim.hardware.pe import Pairing, pairing
from hwsim.simulate.architecture import Simulated, open_arch
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.evaluate import LAYER_COLUMNS, Result, evaluate
from hwsim.spec.document import load_document
from hwsim.spec.errors import InfeasibleError, MissingFigureError, SpecError, UsageError
from hwsim.workload import Trace
from hwsim.workload.stated import kept_note

if TYPE_CHECKING:
    import pandas as pd


#: Figures of the design table that stand beside a format's energy on an ASIC.
FIGURES = ("energy_mj", "latency_ms", "area_mm2", "sqnr_db", "accuracy_source")
#: Those of a format on a device: per PE, in all, of what is usable, speed, and energy where a power is stated.
TAKEN = {
    "lut6": ("pe_lut6", "pe_ff", "pe_dsp", "lut6", "ff", "dsp", "bram36", "uram", "lut_share", "ff_share", "dsp_share",
             "bram_share", "uram_share"),
    "alm": ("pe_alm", "pe_ff", "pe_dsp", "alm", "ff", "dsp", "m20k", "alm_share", "ff_share", "dsp_share",
            "m20k_share"),
}  # fmt: skip
DEVICE_FIGURES = (
    "binding", "pes", "latency_ms", "gops", "utilization", "energy_mj", "gops_per_watt",
    "sqnr_db", "accuracy_source", "status", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One result per format, in the order asked for.

    ``device`` is the FPGA device that all are on, None on an ASIC; ``logic`` is what it counts, ``lut6`` or ``alm``.
    A format that the device does not hold, or cannot
    price, has no result but a reason in ``left_out``. ``notes`` are what a reader must know.
    """

    arch: str
    workload: str
    results: dict[str, Result]
    pes: dict[str, str]
    kv_formats: dict[str, str]
    device: str | None = None
    logic: str = "lut6"
    left_out: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Layer tables of all formats: ``format, pe`` and the columns of the layer table."""
        import pandas as pd

        rows = [
            {"format": name, "pe": self.pes[name], **row}
            for name, result in self.results.items()
            for row in result.layer_rows
        ]
        return pd.DataFrame(rows, columns=["format", "pe", *LAYER_COLUMNS])

    @cached_property
    def totals(self) -> pd.DataFrame:
        """One row per format: PE, format of the KV cache, and figures of the whole workload.

        On an ASIC energy parts, total, latency, area, SQNR and its source; on a device :data:`TAKEN` and
        :data:`DEVICE_FIGURES`.
        """
        import pandas as pd

        rows = []
        for name, pe in self.pes.items():
            built = {"format": name, "pe": pe, "kv_format": self.kv_formats.get(name, "")}
            rows.append({**built, **(self._on_asic(name) if self.device is None else self._on_device(name))})
        return pd.DataFrame(rows)

    def _on_asic(self, name: str) -> dict[str, Any]:
        result = self.results[name]
        parts = {part: sum(row[part] for row in result.layer_rows) for part in ENERGY_PARTS}
        total = sum(row["energy_pj"] for row in result.layer_rows)
        return {**{key: result.design_row[key] for key in FIGURES}, "energy_pj": total, **parts}

    def _on_device(self, name: str) -> dict[str, Any]:
        figures = (*TAKEN[self.logic], *DEVICE_FIGURES)
        if name in self.left_out:
            status, reason = self.left_out[name]
            return {**dict.fromkeys(figures), "status": status, "reason": reason}
        return {key: self.results[name].design_row.get(key) for key in figures}

    def by_layer(self) -> pd.DataFrame:
        """Energy in pJ, on a device time in µs, per layer (rows) and format (columns), with a total row."""
        value = "energy_pj" if self.device is None else "time_us"
        table = self.frame.pivot_table(
            index="layer", columns="format", values=value, aggfunc="sum", sort=False, observed=True
        )[list(self.results)]
        table.loc["total"] = table.sum()
        return table


def compare_formats(
    arch: str | Path,
    trace: Trace,
    formats: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    engine: str = "fast",
) -> Comparison:
    """Run ``trace`` on ``arch`` once per format, each with the PE that ``pairing`` names for it.

    ``settings`` override fields of the architecture by dotted path, after PE and formats are set. On a device a
    format is left out, with the reason, that does not fit or has a part without a price.

    Raises
    ------
    UsageError
        If a format is unknown, named twice, or no PE computes it; on a device also if all are left out.
    """
    if not formats:
        raise UsageError("--formats names no format; valid: for example fp16,int8,mxfp4")
    if len(set(formats)) != len(formats):
        raise UsageError(f"--formats names a format twice: {','.join(formats)}")
    pairs = {label: pairing(label) for label in formats}
    found: dict[str, Simulated] = {}
    results: dict[str, Result] = {}
    errors: dict[str, UsageError] = {}
    for label, pair in pairs.items():
        try:
            found[label] = open_arch(arch, overrides_of(pair, settings))
            with found[label].blame():
                results[label] = evaluate(found[label], trace, engine)
        except UsageError as error:
            if _status(error) is None or _device(arch, settings) is None:
                raise
            errors[label] = error
    if not results:
        raise next(iter(errors.values()))
    left_out = {label: (str(_status(error)), _reason(error)) for label, error in errors.items()}
    kv_formats = {label: str(simulated.policy.kv_format) for label, simulated in found.items()}
    pes = {label: str(pair.pe_spec["family"]) for label, pair in pairs.items()}
    one = found[next(iter(results))]
    device, first = one.spec.device, next(iter(results.values()))
    logic = "lut6" if device is None else ground_of_row(first.design_row).logic
    notes = () if device is None else _notes(device, logic, one.spec.target.power, first)
    kept = kept_note(trace, ", ".join(formats))
    notes = (kept, *notes) if kept else notes
    return Comparison(one.spec.name, trace.name, results, pes, kv_formats, device, logic, left_out, notes)


def overrides_of(pair: Pairing, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of an architecture that a format decides, and ``settings``."""
    return {
        "pe": dict(pair.pe_spec),
        "formats.weights": pair.w_format.name,
        "formats.activations": pair.a_format.name,
        "formats.kv_cache": pair.kv_format.name,
        **(settings or {}),
    }


def _device(arch: str | Path, settings: Mapping[str, Any] | None) -> str | None:
    document = load_document(arch)
    return ground_of((document.with_overrides(settings) if settings else document).data).device


def _status(error: UsageError) -> str | None:
    """Return what became of a format that a device does not take, None if the error is another one."""
    cause = error.__cause__ if isinstance(error, SpecError) else error
    if isinstance(cause, MissingFigureError):
        return "failed"
    return "infeasible" if isinstance(cause, InfeasibleError) else None


def _reason(error: UsageError) -> str:
    cause = error.__cause__ if isinstance(error, SpecError) else error
    return " ".join(str(cause).split())


def _notes(device: str, logic: str, power_w: float | None, result: Result) -> tuple[str, ...]:
    """Return what a comparison on a device does not say by itself."""
    median, worst = lut_error(logic)
    why = Ground(device).why_not("energy_mj")
    energy = f"energy: blank: {why}"
    if power_w is not None:
        energy = next(note for note in result.notes if note.startswith("energy in all is"))
    luts = f"{LOGIC_WORDS[logic]} are estimated: {error_text(median, worst)}"
    return (energy, luts)
