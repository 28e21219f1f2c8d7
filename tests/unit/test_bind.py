"""Documents against models: what each mistake is called, and where it is reported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, model_validator

from hwsim.spec.bind import Spec, as_value_error, bind, validate_mapping
from hwsim.spec.document import parse_document
from hwsim.spec.errors import SpecError, UsageError


def known(name: str) -> str:
    if name != "gemm":
        raise UsageError(f"unknown {name!r}; valid: gemm")
    return name


class Buffer(Spec):
    size: int = Field(ge=1, description="bytes")
    banks: int = 1
    port: int | Literal["auto"] = "auto"
    double: bool = True


class Cache(Spec):
    kind: Literal["cache"]
    ways: int


class Scratch(Spec):
    kind: Literal["scratch"]
    words: int


class Top(Spec):
    name: str = Field(min_length=1)
    share: float = 0.5
    mode: Literal["fast", "slow"] = "fast"
    op: Annotated[str, AfterValidator(as_value_error(known))] = "gemm"
    weights: Buffer
    outputs: Buffer | None = None
    extra: dict[str, Buffer] = Field({})
    sizes: tuple[int, ...] = ()
    levels: list[Annotated[Cache | Scratch, Field(discriminator="kind")]] = Field([])

    @model_validator(mode="after")
    def _consistent(self) -> Top:
        if self.share > 1:
            raise ValueError("share: must be at most 1")
        if self.weights.banks > 9:
            raise ValueError("weights.banks: too many for weights")
        if self.name == "bad":
            raise ValueError("no design may be called bad")
        return self


GOOD = "name: x\nweights: {size: 4}\n"


def messages(text: str, model: type[Spec] = Top) -> list[str]:
    with pytest.raises(SpecError) as caught:
        bind(parse_document(text, "f"), model)
    return [str(problem).split("\n")[0] for problem in caught.value.problems]


def test_a_good_document_becomes_its_model():
    spec = bind(parse_document(GOOD + "share: 1\nsizes: [1, 2.0]\nlevels: [{kind: cache, ways: 2}]\n"), Top)
    assert spec.weights == Buffer(size=4)
    assert spec.sizes == (1, 2)
    assert spec.levels == [Cache(kind="cache", ways=2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "nmae: y\n", "f:3:1: nmae: unknown key 'nmae'; valid: "),
        ("name: x\nweights: {size: 4, bnaks: 2}\n", "weights.bnaks: unknown key 'bnaks'; valid: banks, double, port, size"),
        (GOOD + "~: y\n", "f:3:1: None: unknown key null; valid: "),
        (GOOD + "true: y\n", "unknown key"),
        (GOOD + "2.5: y\n", "unknown key"),
        (GOOD + "share: '1'\n", "f:3:8: share: must be a number, not '1'; remove the quotes"),
        (GOOD + "share: half\n", "must be a number, not 'half'"),
        (GOOD + "share: true\n", "must be a number, not true"),
        (GOOD + "share: .nan\n", "must be a finite number, not .nan"),
        (GOOD + "share: 2\n", "f:3:8: share: must be at most 1"),
        (GOOD + "mode: fsat\n", "mode: must be 'fast' or 'slow', not 'fsat' (did you mean 'fast'?)"),
        (GOOD + "mode: 3\n", "mode: must be 'fast' or 'slow', not 3"),
        (GOOD + "op: gem\n", "f:3:5: op: unknown 'gem'; valid: gemm"),
        (GOOD + "outputs: 64\n", "outputs: must be a mapping, not 64; valid keys: banks, double, port, size"),
        (GOOD + "outputs: [1]\n", "outputs: must be a mapping, not a list of 1 item; valid keys: banks"),
        (GOOD + "extra: {l2: {size: 0}}\n", "f:3:20: extra.l2.size: must be at least 1, not 0"),
        (GOOD + "extra: 3\n", "extra: must be a mapping, not 3"),
        (GOOD + "sizes: 3\n", "sizes: must be a list, not 3"),
        (GOOD + "sizes: [1, x]\n", "f:3:12: sizes.1: must be an integer, not 'x'"),
        (GOOD + "levels: [{kind: cahce, ways: 2}]\n", "levels.0.kind: unknown kind 'cahce'; valid: cache, scratch (did you mean"),
        (GOOD + "levels: [{ways: 2}]\n", "levels.0: missing field 'kind', which says what this is"),
        (GOOD + "levels: [{kind: cache, way: 2}]\n", "unknown key 'way'; valid: kind, ways"),
        ("name: 5\nweights: {size: 4}\n", "name: must be text, not 5; quote it"),
        ("name: ''\nweights: {size: 4}\n", "name: must be text of at least 1 character, not ''"),
        ("name: x\nweights: {size: 4, double: yes}\n", "must be true or false, not 'yes'; write true"),
        ("name: x\nweights: {size: 4, double: Off}\n", "must be true or false, not 'Off'; write false"),
        ("name: x\nweights: {size: 4, double: maybe}\n", "must be true or false, not 'maybe'"),
        ("name: x\nweights: {size: 4, port: wide}\n", "weights.port: must be an integer or 'auto', not 'wide'"),
        ("name: x\nweights: {size: 4, port: atuo}\n", "not 'atuo' (did you mean 'auto'?)"),
        ("name: x\nweights: {size: 4, banks: 12}\n", "f:2:27: weights.banks: too many for weights"),
        ("name: bad\nweights: {size: 4}\n", "f: no design may be called bad"),
        ("name: x\nweights: {}\n", "f:2:1: weights: missing field 'size' (bytes)"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem(text, message):
    (found,) = messages(text)
    assert message in found


def test_missing_fields_of_one_mapping_are_one_problem_of_the_file():
    assert messages("share: 1\n") == ["f: missing fields 'name', 'weights'"]
    assert messages("name: x\n") == ["f: missing field 'weights'; required: name, weights"]


def test_a_misspelt_field_is_not_missing_as_well():
    (found,) = messages("nane: x\nweights: {size: 4}\n")
    assert "did you mean 'name'?" in found
    unknown, missing = sorted(messages("colour: x\nweights: {size: 4}\n"), reverse=True)
    assert "unknown key 'colour'" in unknown or "unknown key 'colour'" in missing
    assert any("missing field 'name'" in text for text in (unknown, missing))


def test_all_mistakes_in_file_order():
    found = messages("name: 5\nshare: x\nweights: {size: -1, double: 7}\nzip: 1\n")
    assert [text.split(": ")[0] for text in found] == ["f:1:7", "f:2:8", "f:3:17", "f:3:29", "f:4:1"]


def test_a_mapping_from_python_is_named_by_its_origin():
    with pytest.raises(SpecError, match=r"^settings: share: must be a number, not 'x'$"):
        validate_mapping({"name": "x", "weights": {"size": 4}, "share": "x"}, Top, "settings")


def test_an_override_is_blamed_where_it_was_given():
    document = parse_document(GOOD, "f").with_overrides({"weights.size": "0"})
    with pytest.raises(SpecError, match=r"^--set: weights.size: must be at least 1, not 0$"):
        bind(document, Top)


def test_a_message_about_a_whole_field_names_the_override_within_it():
    def refuse(value: dict[str, Any]) -> dict[str, Any]:
        raise UsageError("cannot be built")

    class Machine(Spec):
        pe: Annotated[dict[str, Any], AfterValidator(as_value_error(refuse))]

    document = parse_document("pe: {family: x, lanes: 1}\n", "f")
    with pytest.raises(SpecError) as caught:
        bind(document.with_overrides({"pe.lanes": 2}), Machine)
    assert str(caught.value).splitlines()[0] == "f:1:5: pe: cannot be built (with pe.lanes from --set)"
    with pytest.raises(SpecError) as caught:
        bind(document.with_overrides({"pe": {"family": "y"}}), Machine)
    assert str(caught.value) == "--set: pe: cannot be built"
