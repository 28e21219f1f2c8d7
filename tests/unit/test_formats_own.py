"""Formats of your own: one YAML each, by name wherever a format is named; gfloat says what fields mean."""

from __future__ import annotations

import gfloat
import numpy as np
import pytest
import yaml
from gfloat import Domain, FormatInfo, RoundMode
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim import formats
from hwsim.explore.evaluation import PointEvaluator, open_sweep
from hwsim.explore.identity import Identity
from hwsim.explore.sweep import run_sweep
from hwsim.formats.accuracy import fitted_quantize
from hwsim.formats.element.codebook import Codebook
from hwsim.formats.element.float_table import FloatTable
from hwsim.formats.element.minifloat import Minifloat
from hwsim.formats.names import _parsed, format_or_file, parse_format
from hwsim.formats.own import VARIABLE, files, look_beside
from hwsim.spec.errors import SpecError, UsageError

STEPS = "values: [0, 1, 2, 3, 4, 6, 8, 12, null, -1, -2, -3, -4, -6, -8, -12]\n"
WIDE = "fields: {exponent_bits: 5, mantissa_bits: 2, bias: 20, nan: highest}\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working directory with a directory for format files; nothing remembered from others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "formats").mkdir()
    _parsed.cache_clear()  # a built-in that was asked for before would not look for a file again
    return tmp_path


def write(place, name, text):
    (place / "formats" / f"{name}.yaml").write_text(text)


def refusal(place, name, text):
    write(place, name, text)
    with pytest.raises(SpecError) as caught:
        parse_format(name)
    return str(caught.value)


def test_values_make_a_codebook_and_all_its_scaled_formats(place):
    write(place, "steps4", STEPS)
    fmt = formats.get("steps4")
    assert isinstance(fmt, Codebook)
    assert fmt.bits == 4
    assert fmt.decode(np.array([5, 13])).tolist() == [6, -6]
    assert np.isnan(fmt.decode(np.array([8]))[0])
    scaled = formats.get("steps4_g32_e8m0")
    assert (scaled.element, scaled.block_size) == (fmt, 32)
    assert "steps4" in formats.format_names()


def test_values_that_fill_no_power_of_two_leave_codes_unused(place):
    write(place, "five", "values: [-2, -1, 0, 1, 2]\n")
    fmt = formats.get("five")
    assert fmt.bits == 3
    assert np.isnan(fmt.code_values()[5:]).all()
    assert fmt.quantize(np.array([9.0, -0.4])).tolist() == [2, 0]


def test_values_say_what_their_scales_fit(place):
    write(place, "signs", "values: [-1, 1]\nfit: absmean\n")
    x = np.array([[-3.0, 1.0, 1.0, 3.0]])
    assert fitted_quantize(formats.get("signs"), x).tolist() == [[-2, 2, 2, 2]]
    assert formats.get("signs_g4").quantize(x).tolist() == [[-2, 2, 2, 2]]


def test_fields_make_a_minifloat_that_float_datapaths_know(place):
    write(place, "fp8_wide", WIDE)
    fmt = formats.get("fp8_wide")
    assert fmt == Minifloat("fp8_wide", 5, 2, "nan_only", 20)
    assert fmt.max_value == 1.5 * 2.0**11  # 1.11 is NaN at the top exponent, 31 - 20


def test_the_bias_is_the_usual_one_unless_stated(place):
    write(place, "mine", "fields: {exponent_bits: 4, mantissa_bits: 3, nan: highest}\n")
    fmt = formats.get("mine")
    assert np.array_equal(fmt.code_values(), formats.get("fp8_e4m3").code_values(), equal_nan=True)


@pytest.mark.parametrize(
    ("fields", "twin"),
    [
        ("exponent_bits: 5, mantissa_bits: 2, infinities: true, nan: top_exponent", "fp8_e5m2"),
        ("exponent_bits: 4, mantissa_bits: 3, bias: 8, nan: negative_zero", "fp8_e4m3fnuz"),
        ("exponent_bits: 2, mantissa_bits: 1", "fp4_e2m1"),
        ("exponent_bits: 5, mantissa_bits: 3, signed: false, nan: highest", "ue5m3"),
        ("exponent_bits: 8, mantissa_bits: 0, signed: false, subnormals: false, zero: false, nan: highest", "ue8m0"),
        ("exponent_bits: 5, mantissa_bits: 2, bias: 16, infinities: true, nan: negative_zero", "p3109_k8p3se"),
        ("exponent_bits: 4, mantissa_bits: 3, bias: 8, signed: true, nan: negative_zero", "p3109_k8p4sf"),
    ],
)
def test_fields_can_say_what_built_in_formats_are(place, fields, twin):
    write(place, "mine", f"fields: {{{fields}}}\n")
    assert np.array_equal(formats.get("mine").code_values(), formats.get(twin).code_values(), equal_nan=True)


NANS = {"none": 0, "highest": 1, "negative_zero": 0}


@st.composite
def fields_and_info(draw):
    """Fields as a file has them, and what gfloat calls the same format."""
    exponent, mantissa = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    nan = draw(st.sampled_from(["none", "highest", "negative_zero", "top_exponent"]))
    infinities = nan == "top_exponent" or draw(st.booleans())
    bias = draw(st.integers(-3, 12))
    fields = {"exponent_bits": exponent, "mantissa_bits": mantissa, "bias": bias, "infinities": infinities, "nan": nan}
    info = FormatInfo(
        "mine", k=1 + exponent + mantissa, precision=mantissa + 1, bias=bias, has_nz=nan != "negative_zero",
        domain=Domain.Extended if infinities else Domain.Finite,
        num_high_nans=NANS.get(nan, 2**mantissa - 1), has_subnormals=True, is_signed=True, is_twos_complement=False,
    )  # fmt: skip
    return fields, info


MODES = {
    "nearest_even": RoundMode.TiesToEven, "nearest_away": RoundMode.TiesToAway, "toward_zero": RoundMode.TowardZero,
    "up": RoundMode.TowardPositive, "down": RoundMode.TowardNegative,
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(fields_and_info(), st.sampled_from(list(MODES)), st.integers(0, 2**32 - 1))
def test_any_fields_decode_and_round_as_gfloat_has_it(pair, rounding, seed):
    from hwsim.formats.own_file import FieldsSpec

    fields, info = pair
    try:
        fmt = FieldsSpec(**fields).build("mine")
    except ValueError:  # so few codes that specials leave less than two values
        return
    theirs = np.array([gfloat.decode_float(info, code).fval for code in range(2**fmt.bits)])
    assert np.array_equal(fmt.code_values(), theirs, equal_nan=True)
    zeros = theirs == 0
    assert np.array_equal(np.signbit(fmt.code_values()[zeros]), np.signbit(theirs[zeros]))
    grid = fmt.values()
    assume(info.max == grid[-1])  # gfloat takes 1.5 · 2^e for the largest value where only subnormals are finite
    middles = (grid[1:] + grid[:-1]) / 2
    # not the very next number to a tie: gfloat adds 0.5 to its distance in float64
    x = np.concatenate([grid, middles, middles * (1 + 2**-30), middles * (1 - 2**-30)])
    x = np.concatenate([x, 4 * grid[-1] * np.random.default_rng(seed).standard_normal(20)])
    expected = [gfloat.round_float(info, float(value), MODES[rounding], sat=True) for value in x]
    assert fmt.quantize(x, rounding=rounding).tolist() == expected
    if info.domain == Domain.Extended or info.num_nans:
        lossy = [gfloat.round_float(info, float(value), MODES[rounding], sat=False) for value in x]
        found = fmt.quantize(x, rounding=rounding, overflow="infinity")
        assert np.array_equal(found, np.array(lossy), equal_nan=True)


def test_without_subnormals_the_lowest_exponent_is_one_like_any_other(place):
    write(place, "mine", "fields: {exponent_bits: 2, mantissa_bits: 1, bias: 1, subnormals: false}\n")
    fmt = formats.get("mine")
    assert isinstance(fmt, FloatTable)
    # code 0 is zero; 0|1 is 1.5 · 2^-1
    assert fmt.values()[fmt.values() >= 0].tolist() == [0, 0.75, 1, 1.5, 2, 3, 4, 6]
    assert fmt.quantize(np.array([0.375, 0.38])).tolist() == [0, 0.75]  # a tie goes to the even code


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mine", "fields: {exponent_bits: 9, mantissa_bits: 2}\n", "mine.yaml:1:25: fields.exponent_bits: must be"),
        ("mine", "fields: {exponent_bits: 4, mantisa_bits: 2}\n", "did you mean 'mantissa_bits'?"),
        ("mine", "fields: {exponent_bits: 4, mantissa_bits: 3, nan: top_exponent}\n", "needs infinities: true"),
        ("mine", "valuse: [1, 2]\n", "did you mean 'values'?"),
        ("mine", "description: nothing\n", "needs either fields, of a float, or values, of a codebook"),
        ("mine", STEPS + WIDE, "needs either fields, of a float, or values, of a codebook"),
        ("mine", "values: [1]\n", "values"),
        ("mine", "values: [1, 2]\nfit: absmaen\n", "did you mean 'absmean'?"),
        ("mine", WIDE + "fit: rms\n", "fit is for values"),
        ("mine", "values: [1, 1]\n", "at least two different levels"),
        ("mine", "values: [1, .inf]\n", "values"),
        ("mine", "values: [1, two]\n", "mine.yaml:1:13"),
        ("Mine", STEPS, "can be no format's name"),
        ("mine_g128", STEPS, "can be no format's name"),
        ("int8", STEPS, "'int8' is a built-in format; rename the file"),
        ("mine", "fields: {exponent_bits: 1, mantissa_bits: 0, nan: highest}\n", "at least two finite values"),
        ("fp8_e4m3", STEPS, "'fp8_e4m3' is a built-in format; rename the file"),
    ],
)
def test_a_wrong_file_is_refused_at_its_place(place, name, text, said):
    assert said in refusal(place, name, text)


def test_an_unknown_name_still_gets_its_nearest_one(place):
    write(place, "steps4", STEPS)
    with pytest.raises(UsageError, match="did you mean 'steps4'"):
        parse_format("step4")


def test_the_variable_names_other_directories_and_one_name_stands_once(place, monkeypatch):
    for folder in ("a", "b"):
        (place / folder).mkdir()
        (place / folder / "mine.yaml").write_text(STEPS)
    monkeypatch.setenv(VARIABLE, "a")
    assert files() == {"mine": files()["mine"]}
    assert formats.get("mine").bits == 4
    monkeypatch.setenv(VARIABLE, "a:b")
    with pytest.raises(UsageError, match="defined twice"):
        parse_format("mine")


def test_a_file_called_like_a_built_in_format_is_refused_under_scales_too(place):
    write(place, "int4", STEPS)
    for name in ("int4", "int4_g128"):
        with pytest.raises(SpecError, match="'int4' is a built-in format; rename the file"):
            formats.get(name)
    assert formats.get("int8_g128").bits == 8


def test_a_changed_or_removed_file_is_noticed(place):
    write(place, "mine", STEPS)
    assert (formats.get("mine").max_value, formats.get("mine_g32").code.max_value) == (12, 12)
    assert formats.get("mine") is formats.get("mine")
    write(place, "mine", STEPS.replace("12", "16"))
    assert (formats.get("mine").max_value, formats.get("mine_g32").code.max_value) == (16, 16)
    (place / "formats" / "mine.yaml").unlink()
    for name in ("mine", "mine_g32"):
        with pytest.raises(UsageError, match=f"unknown format '{name}'"):
            formats.get(name)


def test_formats_are_found_beside_the_file_that_is_opened(place, monkeypatch):
    beside = place / "study" / "formats"
    beside.mkdir(parents=True)
    (beside / "mine.yaml").write_text(STEPS)
    (place / "formats" / "other.yaml").write_text(STEPS)
    monkeypatch.setenv(VARIABLE, "")  # so that what is set here is undone
    look_beside("study/sweep.yaml")
    look_beside(place / "study" / "arch.yaml")
    look_beside("sweep.yaml")
    assert formats.get("mine_g64").code.max_value == formats.get("other").max_value == 12
    monkeypatch.chdir("study")
    assert formats.get("mine").max_value == 12


def test_a_path_stands_for_a_name_on_the_command_line(place):
    (place / "elsewhere.yaml").write_text(STEPS)
    assert format_or_file("elsewhere.yaml").name == "elsewhere"
    with pytest.raises(SpecError, match="no such file"):
        format_or_file("nowhere.yaml")


SWEEP = """\
name: own
base: arch.yaml
workloads: [{model: opt-125m, phase: decode, context: 128}]
grid:
  pe:
    - {family: float_mac, format: fp8_wide}
    - {family: codebook_mac, w_format: steps4_g128}
    - {family: codebook_mac, w_format: nf4_g64}
objectives: {energy_mj: min, sqnr_db: max}
"""


@pytest.fixture
def sweep(place):
    from hwsim.spec.data import example_path

    arch = yaml.safe_load(example_path("arch_configs", "systolic_32x32_28nm").read_text())
    (place / "arch.yaml").write_text(yaml.safe_dump(arch))
    (place / "sweep.yaml").write_text(SWEEP)
    write(place, "fp8_wide", WIDE)
    write(place, "steps4", STEPS)
    return place


def test_a_sweep_uses_them_by_name_in_every_process(sweep):
    opened = open_sweep("sweep.yaml")
    frames = [run_sweep(opened, PointEvaluator(opened), jobs=jobs).frame for jobs in (1, 2)]
    assert frames[0].equals(frames[1])
    frame = frames[0]
    assert frame["status"].tolist() == ["ok"] * 3
    assert frame["energy_mj"].nunique() == 3
    assert frame["sqnr_db"].between(15, 30).all()


def test_a_changed_format_is_evaluated_anew_and_no_other(sweep):
    def keys():
        opened = open_sweep("sweep.yaml")
        own = Identity(opened)
        return [own.key(point) for point in opened.space]

    before = keys()
    write(sweep, "steps4", STEPS.replace("12", "14"))
    after = keys()
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert before[2] == after[2]


def test_a_trace_names_them_too(sweep):
    (sweep / "trace.csv").write_text(
        "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\nx,gemm,8,8,128,1,1,steps4,fp16,fp16\n"
    )
    (sweep / "sweep.yaml").write_text(
        "name: t\nbase: arch.yaml\nworkloads: [trace.csv]\ngrid: {array.rows: [8]}\nobjectives: {energy_mj: min}\n"
    )

    def key():
        opened = open_sweep("sweep.yaml")
        return Identity(opened).key(opened.space[0])

    before = key()
    write(sweep, "fp8_wide", WIDE.replace("20", "21"))
    assert key() == before
    write(sweep, "steps4", STEPS.replace("12", "14"))
    assert key() != before
