"""``hwsim score models`` and ``gemms``: tables of recorded modules, compared as integers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.cli.main import run_command
from hwsim.explore.score import score
from hwsim.explore.score._recorded import find_recorded, sizes_of
from hwsim.explore.score.gemms import _read
from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import model_names

DATA = Path(__file__).parents[1] / "data"
#: Recorded for this repository, in the same way, about the other models of the zoo.
MORE = {"models": "models_recorded.csv", "gemms": "models_recorded_gemms.csv"}
FIRST = {"models": "models_golden.csv", "gemms": "models_gemms.csv"}


@pytest.mark.parametrize("kind", ["models", "gemms"])
@pytest.mark.parametrize("table", [FIRST, MORE])
def test_all_rows_are_equal(kind: str, table: dict[str, str]) -> None:
    found = score(kind, DATA / table[kind])
    assert [bar.name for bar in found.bars if not bar.reached] == []
    assert (found.frame["error"] == 0).all()
    assert found.bars[1].value == 0
    assert all(note.startswith("stated only: dit-xl-2-256: published 118.64") for note in found.notes)


def test_tables_together_are_about_most_of_the_zoo() -> None:
    seen: set[str] = set()
    for name in ("models_golden.csv", "models_recorded.csv"):
        with (DATA / name).open(newline="") as stream:
            seen |= {find_recorded(row["model"])[0].name for row in csv.DictReader(stream)}
    assert len(seen) == 24 + 17
    assert {"mixtral-8x7b", "deepseek-v3", "whisper-large-v3", "pixart-alpha-xl-2", "sd-v1.5-unet"} <= seen
    assert seen <= set(model_names())


def changed(tmp_path: Path, source: str, line: int, old: str, new: str) -> Path:
    lines = (DATA / source).read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path = tmp_path / source
    path.write_text("".join(lines))
    return path


def test_a_wrong_figure_is_named_and_misses_the_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(tmp_path, "models_golden.csv", 2, "125239296", "125239297")
    assert run_command(["score", "models", str(path)]) == 4
    assert "not equal: opt-125m params_unique: 125239297, ours 125239296" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",48", ",47", "not equal: opt-125m prefill gemm 1 x 2048 x 768 x 768: 47 calls, ours 48"),
        ("768,768", "768,769", "not equal: opt-125m prefill gemm 1 x 2048 x 768 x 768: 0 calls, ours 48"),
    ],
)
def test_a_wrong_shape_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    path = changed(tmp_path, "models_gemms.csv", 2, old, new)
    assert run_command(["score", "gemms", str(path)]) == 4
    assert message in capsys.readouterr().err


def test_a_shape_that_the_table_lacks_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("".join((DATA / "models_gemms.csv").read_text().splitlines(keepends=True)[:6]))
    assert run_command(["score", "gemms", str(path)]) == 4
    assert "opt-125m prefill gemm 1 x 2048 x 768 x 50272: 0 calls, ours 1" in capsys.readouterr().err


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    header, first = (DATA / "models_golden.csv").read_text().splitlines()[:2]
    path = tmp_path / "rows.csv"
    empty = "," * (header.count(",") - 1)
    path.write_text(f"{header},rotations\n{first},5\nmamba-3b,5,S=64{empty}\n")
    found = score("models", path)
    assert "not compared: opt-125m rotations" in found.notes
    assert any(note.startswith("not compared: mamba-3b: unknown model 'mamba-3b'") for note in found.notes)
    assert [bar.value for bar in found.bars] == [0, 2]
    path.write_text("model,phase,op,batch,M,K,N,count\nmamba-3b,prefill,gemm,1,2,3,4,5\n")
    with pytest.raises(UsageError, match="nothing to compare: not compared: mamba-3b prefill: unknown model"):
        score("gemms", path)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("models", "model,input\nopt-125m,S=8\n", "missing column params_unique"),
        (
            "models",
            "model,params_unique,input\nopt-125m,many,S=8\n",
            "params_unique must be a whole number, not 'many'",
        ),
        (
            "models",
            "model,params_unique,input,published_GMACs\nopt-125m,1,S=8,big\n",
            "published_GMACs must be a number",
        ),
        (
            "gemms",
            "model,phase,op,batch,M,K,N,count\nopt-125m,trial,gemm,1,1,1,1,1\n",
            "phase must be prefill or decode",
        ),
        ("gemms", "model,phase,op,batch,M,K,N,count\nopt-125m,decode,gemm,1,x,1,1,1\n", "M must be a whole number"),
        ("gemms", "model,phase,op,batch,M,K,N,count\nopt-125m,decode,gemm,1,1,1,1,\n", "count must be a whole number"),
    ],
)
def test_wrong_tables(tmp_path: Path, kind: str, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        score(kind, path)


def test_inputs_are_found_from_the_products_alone() -> None:
    runs: dict[tuple[str, str], list[object]] = {}
    for name in (*(table["gemms"] for table in (FIRST, MORE)),):
        with (DATA / name).open(newline="") as stream:
            for row in csv.DictReader(stream):
                run, shape, _ = _read(row)
                runs.setdefault(run, []).append(shape)

    def sizes(name: str, phase: str) -> list[int]:
        return sizes_of(find_recorded(name)[0], phase, runs[name, phase])  # type: ignore[arg-type]

    assert sizes("llama-3-8b", "prefill") == sizes("llama-3-8b", "decode") == [2048]
    assert sizes("gpt2", "decode") == [1024]
    assert sizes("vit-base-16", "prefill") == [224]
    assert sizes("sd-v1.5-unet", "prefill") == [64]
    assert sizes("dit-xl-2-256", "prefill") == [32]
    assert sizes("whisper-large-v3", "prefill") == [448]
    assert sizes("resnet-50", "prefill") == []
    assert find_recorded("dit-xl-2-512")[1] == 512
