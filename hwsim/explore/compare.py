"""Compare number formats on one architecture: the same array, each format on the PE built for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.hardware.pe import pairing
from hwsim.simulate.architecture import open_arch
from hwsim.simulate.cost import ENERGY_PARTS
from hwsim.simulate.evaluate import LAYER_COLUMNS, Result, evaluate
from hwsim.spec.errors import MissingFigureError, UsageError
from hwsim.workload import Trace

if TYPE_CHECKING:
    import pandas as pd


#: Figures of the design table that stand beside a format's energy.
FIGURES = ("energy_mj", "latency_ms", "area_mm2", "sqnr_db", "accuracy_source")


@dataclass(frozen=True)
class Comparison:
    """One result per format, in the order asked for."""

    arch: str
    workload: str
    results: dict[str, Result]
    pes: dict[str, str]
    kv_formats: dict[str, str]

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
        """One row per format: PE, format of the KV cache, energy parts, total, latency, area, SQNR and its source."""
        import pandas as pd

        rows = []
        for name, result in self.results.items():
            parts = {part: sum(row[part] for row in result.layer_rows) for part in ENERGY_PARTS}
            total = sum(row["energy_pj"] for row in result.layer_rows)
            figures = {name: result.design_row[name] for name in FIGURES}
            built = {"format": name, "pe": self.pes[name], "kv_format": self.kv_formats[name]}
            rows.append({**built, **figures, "energy_pj": total, **parts})
        return pd.DataFrame(rows)

    def by_layer(self) -> pd.DataFrame:
        """Energy in pJ per layer (rows) and format (columns), with a total row."""
        table = self.frame.pivot_table(
            index="layer", columns="format", values="energy_pj", aggfunc="sum", sort=False, observed=True
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

    ``settings`` override fields of the architecture by dotted path, after PE and formats are set.

    Raises
    ------
    UsageError
        If a format is unknown, named twice, or no PE computes it.
    """
    if not formats:
        raise UsageError("--formats names no format; valid: for example fp16,int8,mxfp4")
    if len(set(formats)) != len(formats):
        raise UsageError(f"--formats names a format twice: {','.join(formats)}")
    results: dict[str, Result] = {}
    pes: dict[str, str] = {}
    kv_formats: dict[str, str] = {}
    name = str(arch)
    for label in formats:
        pair = pairing(label)
        overrides = {
            "pe": dict(pair.pe_spec),
            "formats.weights": pair.w_format.name,
            "formats.activations": pair.a_format.name,
            "formats.kv_cache": pair.kv_format.name,
            **(settings or {}),
        }
        simulated = open_arch(arch, overrides)
        name = simulated.spec.name
        if simulated.spec.device is not None:
            raise MissingFigureError(
                f"compare-formats: shows energies, which no source gives on {simulated.spec.device}; valid: a sweep "
                "over pe with objectives such as lut6 and sqnr_db"
            )
        with simulated.blame():
            results[label] = evaluate(simulated, trace, engine)
        pes[label] = str(pair.pe_spec["family"])
        kv_formats[label] = str(simulated.policy.kv_format)
    return Comparison(name, trace.name, results, pes, kv_formats)
