"""Settings: frozen typed dataclasses, read from and written to TOML, unknown keys refused with the nearest name."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from mirnagraph.errors import ConfigError, InputError

Settings = TypeVar("Settings")


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise ConfigError when a setting is out of range; for use in ``__post_init__``."""
    if not condition:
        raise ConfigError(f"setting {name!r} is {found!r}, expected {expected}")


def to_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as nested plain values; None is left out, since TOML has no such value."""
    import cattrs

    def without_none(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): without_none(v) for k, v in value.items() if v is not None}
        return [without_none(v) for v in value] if isinstance(value, list | tuple) else value

    result: dict[str, Any] = without_none(cattrs.unstructure(settings))
    return result


def from_dict(kind: type[Settings], values: dict[str, Any], where: str = "settings") -> Settings:
    """Build a settings dataclass from nested plain values.

    Keys that are not given keep their default.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value of the wrong type or out of range.
    """
    import cattrs
    import cattrs.errors

    _check_keys(kind, values, where)
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    for exact in (int, float, bool, str):
        converter.register_structure_hook(exact, _exactly)
    try:
        return converter.structure(values, kind)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except (TypeError, ValueError, KeyError, cattrs.errors.CattrsError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _exactly(value: Any, kind: type) -> Any:
    """Values of TOML keep their type; only an integer may stand for a float."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"found {value!r} ({type(value).__name__}), expected a value of type {kind.__name__}")
    return value


def _check_keys(kind: Any, values: dict[str, Any], where: str) -> None:
    from typing import get_type_hints

    if not isinstance(values, dict):
        raise ConfigError(f"{where}: found {values!r}, expected a table of settings")
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown setting {key!r}{meant}")
        if is_dataclass(hints[key]):
            _check_keys(hints[key], value, f"{where}.{key}")


def dump_toml(settings: Any) -> str:
    """A settings dataclass as TOML text."""
    import tomli_w

    return tomli_w.dumps(to_dict(settings))


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into plain values; raises InputError where the file is missing or is not TOML."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("not a TOML file", file=path, found=str(error)) from None


def read_settings(kind: type[Settings], path: str | Path) -> Settings:
    """Read a settings dataclass from a TOML file (see `from_dict`)."""
    return from_dict(kind, load_toml(path), where=str(path))


def preset_names(package: str) -> list[str]:
    """Names of the presets that come with a package, in its folder ``presets``."""
    return sorted(entry.name.removesuffix(".toml") for entry in files(package).joinpath("presets").iterdir() if entry.name.endswith(".toml"))


def preset_values(package: str, name: str) -> dict[str, Any]:
    """A preset as nested plain values; raises ConfigError with the nearest name for an unknown one."""
    known = preset_names(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(f"unknown preset {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"))
    return tomllib.loads(files(package).joinpath("presets", f"{name}.toml").read_text(encoding="utf-8"))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested values with those of `over` laid over them."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
