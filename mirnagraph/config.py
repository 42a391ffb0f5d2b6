"""Settings: typed frozen dataclasses, TOML files, presets that extend others."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

from mirnagraph.errors import ConfigError, written
from mirnagraph.reading.documents import read_toml

Settings = TypeVar("Settings")

BASE = "base"
"""Preset that others extend; not offered to users."""

APPEND = "append"
"""Table whose lists are added to the inherited ones."""


MOST = 1_000_000_000
"""Largest count of settings, such as epochs or trees; not of seeds."""

LARGEST_RATE = 1e30
"""Largest number of settings that are no counts: its square is one of double precision."""

LARGEST = 2**63 - 1
"""Largest whole number that is read, as in most of TOML."""

NAME = "name"
"""Key of a table that names the entry of a registry whose settings the table holds."""


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise ConfigError unless a setting is in range; for use in ``__post_init__``.

    Args:
        condition: whether the setting is in range.
        name: of the setting.
        found: its value.
        expected: the valid range.
    """
    if not condition:
        raise ConfigError(f"setting {name!r} is {written(found)}, expected {expected}")


RANGES: dict[str, Callable[[float], bool]] = {
    "0 or more": lambda value: 0 <= value < float("inf"),
    "1 or more": lambda value: value >= 1,
    "2 or more": lambda value: value >= 2,
    "above 0": lambda value: 0 < value < float("inf"),
    "below 1": lambda value: value < 1,
    "in [0, 1)": lambda value: 0 <= value < 1,
    "in [0, 1]": lambda value: 0 <= value <= 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
    "in (0, 1)": lambda value: 0 < value < 1,
    "in [0, 0.5]": lambda value: 0 <= value <= 0.5,
    "in (0, 0.5]": lambda value: 0 < value <= 0.5,
}
"""Valid ranges of numbers, by how messages name them."""

Count = Annotated[int, "1 or more"]
AtLeastTwo = Annotated[int, "2 or more"]
CountOrZero = Annotated[int, "0 or more"]
Positive = Annotated[float, "above 0"]
PositiveOrZero = Annotated[float, "0 or more"]
Rate = Annotated[float, "in [0, 1)"]
Share = Annotated[float, "in (0, 1]"]


class Checked:
    """Base of settings dataclasses that checks fields against their annotations.

    A field annotated ``Annotated[type, "in [0, 1)"]`` (a key of `RANGES`), or with a tuple of valid
    values in place of the range, is refused with a ConfigError where its value is another.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)  # mypy: not Hashable
        for name, valid in _valid_values(kind):
            if isinstance(valid, tuple):
                value = getattr(self, name)
                require(value in valid, name, value, f"one of {', '.join(valid)}")
            else:
                require_range(self, valid, name)


@cache
def _valid_values(kind: type) -> list[tuple[str, Any]]:
    """Name and valid values of each field of a settings class that has some."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        (name, *hint.__metadata__) for name, hint in hints.items() if get_origin(hint) is Annotated
    ]


def require_range(settings: Any, expected: str, *names: str) -> None:
    """Raise ConfigError unless each of the named settings is in a range of `RANGES`.

    None but a seed is above `largest`.
    """
    for name in names:
        value = getattr(settings, name)
        require(RANGES[expected](value), name, value, expected)
        most = largest(value)
        require(name == "seed" or value <= most, name, value, f"{most:,} at most")


def largest(value: float) -> float:
    """What a setting may be at most: `MOST` for a count, `LARGEST_RATE` for other numbers."""
    return MOST if isinstance(value, int) else LARGEST_RATE


def to_dict(settings: Any) -> dict[str, Any]:
    """Turn a settings dataclass into nested plain values, without None, which TOML lacks."""
    import cattrs

    result: dict[str, Any] = _without_none(cattrs.unstructure(settings))
    return result


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def from_dict(kind: type[Settings], values: dict[str, Any], where: str = "settings") -> Settings:
    """Build a settings dataclass from nested plain values.

    Args:
        kind: the dataclass.
        values: values by key; keys that are not given keep their default.
        where: file or table, for errors.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value of the wrong type or out
            of range.
    """
    import cattrs
    import cattrs.errors

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    for exact in (int, float, bool, str):
        converter.register_structure_hook(exact, _exactly)

    def structured(values: Any, kind: Any, where: str) -> Any:
        try:
            return converter.structure(values, kind)
        except AttributeError:  # cattrs expects a table, and looks at no other type
            if isinstance(values, Mapping):
                raise
            found = f"found {values!r} ({type(values).__name__})"
            raise ConfigError(f"{where}: {found}, expected a table of settings") from None
        except (ConfigError, TypeError, ValueError, KeyError, cattrs.errors.CattrsError) as error:
            raise ConfigError(f"{where}: {error}") from None

    _check_keys(kind, values, where, structured)
    result: Settings = structured(values, kind, where)
    return result


def settings_from(kind: type[Settings], settings: Any, where: str = "settings") -> Settings:
    """Settings of a registered entry: an instance as it is, plain values, or None for the defaults.

    Args:
        kind: the entry's settings dataclass.
        settings: an instance of it, plain values by key, or None.
        where: table the values come from, for errors.

    Raises:
        ConfigError: settings of another type, or see `from_dict`.
    """
    if isinstance(settings, kind):
        return settings
    if settings is None:
        settings = {}
    if not isinstance(settings, Mapping):
        expected = f"settings of type {kind.__name__}"
        raise ConfigError(f"{where}: found {type(settings).__name__}, expected {expected}")
    return from_dict(kind, dict(settings), where)


def _exactly(value: Any, kind: type) -> Any:
    """Refuse a value of another type, and no number; an integer may be given for a float."""
    if kind in (int, float) and type(value) is int and abs(value) > LARGEST:
        raise ConfigError(
            f"found a number of {len(str(abs(value)))} digits, expected a smaller one"
        )
    if kind is float and type(value) is int:
        return float(value)
    if kind is float and type(value) is float and not math.isfinite(value):
        raise ConfigError(f"found {value!r}, expected a finite number")
    if type(value) is not kind:
        raise ConfigError(
            f"found {value!r} ({type(value).__name__}), expected a value of type {kind.__name__}"
        )
    return value


def _check_keys(
    kind: Any, values: dict[str, Any], where: str, structured: Callable[[Any, Any, str], Any]
) -> None:
    """Check the entries of a table one by one, so that an error names the setting."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: found {values!r}, expected a table of settings")
    known = sorted(field.name for field in fields(kind))
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown setting {key!r}{nearest(key, known)}")
        if get_origin(hints[key]) in (list, tuple) and not isinstance(value, list | tuple):
            found = f"found {value!r} ({type(value).__name__})"
            raise ConfigError(f"{where}.{key}: {found}, expected a list")
        if is_dataclass(hints[key]):
            _check_keys(hints[key], value, f"{where}.{key}", structured)
            structured(value, hints[key], f"{where}.{key}")  # ranges, with the name of the table
        else:
            structured(value, hints[key], f"{where}.{key}")


def dump_toml(settings: Any) -> str:
    """Write a settings dataclass as TOML text."""
    import tomli_w

    return tomli_w.dumps(to_dict(settings))


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into plain values.

    Raises:
        InputError: the file is missing or not TOML.
    """
    return read_toml(path)


def read_settings(kind: type[Settings], path: str | Path) -> Settings:
    """Read a settings dataclass from a TOML file (see `from_dict`)."""
    return from_dict(kind, load_toml(path), where=str(path))


def preset_names(package: str) -> list[str]:
    """List the presets in a package's folder ``presets``, without ``base``."""
    return [name for name in _preset_files(package) if name != BASE]


def preset_values(package: str, name: str) -> dict[str, Any]:
    """Read a preset as nested plain values, laid over the presets that it extends.

    Raises:
        ConfigError: an unknown preset (with the nearest name), an unknown or circular ``extends``.
    """
    known = preset_names(package)
    if name not in known:
        raise ConfigError(f"unknown preset {name!r}{nearest(name, known)}")
    values = _extended(package, name, ())
    values["preset"] = name
    return values


def load_settings(  # noqa: PLR0913 (one function for the settings of every package)
    kind: type[Settings],
    package: str,
    preset: str,
    file: str | Path | None = None,
    over: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
    build: Callable[[dict[str, Any], str], Settings] | None = None,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    whole: Sequence[tuple[str, str]] = (),
) -> Settings:
    """Load settings in the order default < preset < file < `over`.

    Args:
        kind: frozen dataclass with a field ``preset``.
        package: package of the presets.
        preset: name of the preset to start from.
        file: TOML with any of the settings; may name another preset by ``preset = "…"``.
        over: nested plain values, laid over those of the file.
        skip: tables of the file that are read elsewhere.
        build: makes the settings from nested values and the place they come from, where
            `from_dict` is not enough.
        upgrade: turns the values of a file of an older version into those of today, before they
            are laid over the preset.
        whole: (table, key) whose entries the user names: given, it replaces the inherited one.

    Raises:
        InputError: the file is missing or not TOML.
        ConfigError: an unknown preset or setting, a value of the wrong type or out of range.
    """
    read = load_toml(file) if file is not None else {}
    for table in skip:
        read.pop(table, None)
    is_of_file = "preset" in read
    name = read.pop("preset", preset)
    if not isinstance(name, str):
        raise ConfigError(f"{file}: found preset = {name!r}, expected the name of a preset")
    if upgrade is not None:
        read = upgrade(read)
    where = f"preset {name}" if file is None else str(file)
    try:
        values = preset_values(package, name)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if is_of_file else str(error)) from None
    for laid in (read, over or {}):
        values = lay_over(_without_replaced(values, laid, whole), laid, where)
    return from_dict(kind, values, where) if build is None else build(values, where)


def lay_over(
    base: Mapping[str, Any], values: Mapping[str, Any], where: str = "settings"
) -> dict[str, Any]:
    """Lay nested values over others, key by key.

    A table whose ``name`` differs from that in `base` replaces it: settings of one entry of a
    registry are not those of another. Lists of the table ``append`` are added to those of `base`.

    Raises:
        ConfigError: ``append`` holds something else than lists, or names no list of `base`.
    """
    plain = {key: value for key, value in values.items() if key != APPEND}
    return _append(_merge(base, plain), values.get(APPEND, {}), where, ())


def _merge(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    if NAME in base and values.get(NAME, base[NAME]) != base[NAME]:
        return dict(values)
    merged = dict(base)
    for key, value in values.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged


def _without_replaced(
    base: Mapping[str, Any], values: Mapping[str, Any], whole: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """`base` without the tables of `whole` that `values` gives anew."""
    kept = dict(base)
    for table, key in whole:
        given = values.get(table)
        below = kept.get(table)
        if isinstance(given, Mapping) and isinstance(below, Mapping) and key in given:
            kept[table] = {name: value for name, value in below.items() if name != key}
    return kept


def _append(base: Any, added: Any, where: str, path: tuple[str, ...]) -> Any:
    """Extend the lists of `base` by those of `added`; `path` leads to both."""
    if isinstance(base, Mapping) and isinstance(added, Mapping):
        longer = dict(base)
        for key, value in added.items():
            longer[key] = _append(base.get(key), value, where, (*path, key))
        return longer
    if isinstance(base, list) and isinstance(added, list):
        return [*base, *added]
    name = ".".join((APPEND, *path))
    raise ConfigError(
        f"{where}: found {name} = {added!r}, expected lists that are added to inherited lists"
    )


def _extended(package: str, name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Values of one preset file over those it extends; `above` are the presets that extend it."""
    if name in above:
        circle = " -> ".join((*above, name))
        raise ConfigError(f"presets of {package} extend each other in a circle: {circle}")
    known = _preset_files(package)
    if name not in known:
        raise ConfigError(
            f"preset {above[-1]!r} extends the unknown preset {name!r}{nearest(name, known)}"
        )
    text = files(package).joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    below = values.pop("extends", None)
    base = {} if below is None else _extended(package, below, (*above, name))
    return lay_over(base, values, f"preset {name}")


def _preset_files(package: str) -> list[str]:
    names = [entry.name for entry in files(package).joinpath("presets").iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def nearest(name: str, known: list[str]) -> str:
    """End of a message about an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known) or 'none'}"
