"""Strict building of config dataclasses."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from flow3r.config import LATER, from_mapping, require, to_mapping
from flow3r.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    size: int
    ratio: float = 0.5

    def __post_init__(self):
        require(self.size > 0, f"size={self.size} must be positive")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)
    maybe: Inner | None = None


def test_round_trip():
    mapping = {
        "name": "a",
        "inner": {"size": 2},
        "many": [{"size": 1, "ratio": 1}],
        "named": {"x": {"size": 3}},
    }
    built = from_mapping(Outer, mapping)
    assert built == Outer("a", Inner(2), (Inner(1, 1.0),), {"x": Inner(3)})
    assert from_mapping(Outer, to_mapping(built)) == built


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nme": 1}, r"nme: unknown setting; valid settings are .*'name'"),
        ({"inner": {"size": 1, "rato": 2}}, r"inner\.rato: unknown setting.*ratio"),
        ({"inner": {}}, r"inner\.size: required"),
        ({"inner": {"size": "2"}}, r"inner\.size='2': expected int, got str"),
        ({"inner": {"size": True}}, r"inner\.size=True: expected int"),
        ({"inner": {"size": -1}}, r"inner: size=-1 must be positive"),
        ({"many": {"size": 1}}, r"many=.*expected a list"),
        ({"many": [{"size": 1}, {"size": 1.5}]}, r"many\[1\]\.size=1.5"),
        ({"named": {"x": 3}}, r"named\.x: expected a mapping"),
    ],
)
def test_errors_name_the_place_and_the_choices(change, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Outer, {"name": "a", "inner": {"size": 1}} | change)


@dataclass(frozen=True)
class Round:
    radius: int
    shape: Literal["round"] = "round"


@dataclass(frozen=True)
class Square:
    side: int
    shape: Literal["square"] = "square"


@dataclass(frozen=True)
class Drawing:
    figure: Round | Square
    other: Round | Square | None = None


def test_a_union_is_told_apart_by_its_tag():
    built = from_mapping(Drawing, {"figure": {"shape": "square", "side": 2}})
    assert built == Drawing(Square(2))
    assert from_mapping(Drawing, to_mapping(built)) == built
    assert from_mapping(Round | Square, {"shape": "round", "radius": 1}) == Round(1)
    assert from_mapping(Drawing, {"figure": Round(1), "other": {"radius": 2}}).other == Round(2)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"shape": "oval", "side": 2}, r"figure\.shape='oval' is not valid.*round.*square"),
        ({"shape": "square", "radius": 2}, r"figure\.radius: unknown setting.*side"),
        ({"side": 2}, r"figure\.side: unknown setting.*radius"),  # without a tag: the first one
        ("square", r"figure: expected a mapping"),
    ],
)
def test_errors_in_a_union_name_the_place(mapping, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Drawing, {"figure": mapping})


@dataclass(frozen=True)
class Grown:
    side: int
    weight: float = field(default=1.0, metadata=LATER)


def test_a_later_field_is_left_out_at_its_default():
    assert to_mapping(Grown(2)) == {"side": 2}
    assert to_mapping(Grown(2, 3.0)) == {"side": 2, "weight": 3.0}
    assert from_mapping(Grown, to_mapping(Grown(2))) == Grown(2)
