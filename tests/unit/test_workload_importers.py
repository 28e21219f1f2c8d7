"""Importers: which one reads a source, and what every one of them must say of itself."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import load_workload
from hwsim.workload.importers.base import IMPORTERS, Importer, Request, find_importer, source_endings
from hwsim.workload.ops import Gemm
from hwsim.workload.trace import Trace


class Fixed(Importer):
    """One product whose size is a setting."""

    summary = "a test source"
    suffixes = (".index.json",)
    schemes = ("fixed:",)
    settings: ClassVar[dict[str, str]] = {"size": "of every edge"}

    def read(self, source: str, request: Request) -> Trace:
        size = int(request.settings.get("size", 4))
        return Trace(source, (Gemm("only", size, size, size),))


class Marked(Fixed):
    """CSV files that begin with a mark."""

    suffixes = (".csv",)
    schemes = ()

    def recognises(self, path: Path) -> bool:
        return path.read_text().startswith("marked")


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    IMPORTERS.names()
    monkeypatch.setitem(IMPORTERS._members, "fixed", Fixed())
    monkeypatch.setitem(IMPORTERS._members, "marked", Marked())


@pytest.mark.parametrize("name", IMPORTERS.names())
def test_every_importer_says_what_it_reads(name: str) -> None:
    importer = IMPORTERS.get(name)
    assert importer.summary.split()[0] in ("a", "an")
    assert importer.suffixes or importer.schemes
    assert all(end == end.lower() and end.startswith(".") for end in importer.suffixes)
    assert all(scheme.endswith(":") for scheme in importer.schemes)
    assert set(importer.suffixes) | set(importer.schemes) <= set(source_endings())


def test_the_longest_suffix_wins(fixed: None) -> None:
    assert find_importer("a/config.json") == "hf_config"
    assert find_importer("a/model.INDEX.json") == "fixed"
    assert find_importer("fixed:whatever.csv") == "fixed"
    assert find_importer("trace.zip") is None


def test_content_decides_between_equal_suffixes(fixed: None, tmp_path: Path) -> None:
    own, other = tmp_path / "own.csv", tmp_path / "other.csv"
    own.write_text("marked\n")
    other.write_text("layer,op\n")
    assert (find_importer(str(own)), find_importer(str(other))) == ("marked", "csv")


def test_settings_reach_the_importer(fixed: None) -> None:
    trace = load_workload({"source": "fixed:x", "settings": {"size": 7}})
    assert trace.macs == 343
    assert load_workload("fixed:x").macs == 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"source": "fixed:x", "settings": {"siez": 7}},
            "settings: unknown setting 'siez'; valid: size (did you mean 'size'?)",
        ),
        ({"source": "fixed:x", "seq_len": 4}, "seq_len: a test source is fixed"),
        ({"model": "gpt2", "settings": {"size": 7}}, "settings: gpt2 has no key 'size'; valid: "),
        ({"source": "trace.zip"}, "source: trace.zip: unknown kind of file"),
        ({"source": "fixed:x", "model": "gpt2"}, "name exactly one of"),
    ],
)
def test_what_a_source_cannot_take_is_refused(fixed: None, fields: dict[str, object], message: str) -> None:
    with pytest.raises((SpecError, UsageError)) as caught:
        load_workload(fields)
    assert message in str(caught.value)
