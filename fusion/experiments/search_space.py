"""Search spaces: settings and their values, read from TOML and applied to a configuration."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin, get_type_hints

from fusion.config import FUSION, NESTED, ExperimentConfig
from mirnagraph.config import RANGES, from_dict, largest, load_toml, to_dict
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import NetworkConfig

if TYPE_CHECKING:
    import optuna

NETWORKS = "networks."

ALIASES: dict[str, str] = {
    "networks.lambda": "networks.functional.lambda_",
    "networks.cutoff": "networks.functional.cutoff",
    "networks.T": "networks.functional.cutoff",
}
"""Names of the paper -> settings."""

CUTOFFS = ("networks.cutoff", "networks.T")
"""Names that also set the rule of the functional network to ``"cutoff"``."""

FIXED = ("preset", "source", "seed", "folds", "embedding.node2vec.dim")
"""Settings that cannot be searched: the protocol is not selected by its own result, and node2vec
takes its width from similarity_dim and association_dim."""

RANGE_KEYS = ("low", "high", "log", "step", "int")

MAX_COMBINATIONS = 200


@dataclass(frozen=True)
class Choices:
    """A setting takes one of several values.

    Attributes:
        values: plain values as in TOML, all different, one or more.
    """

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A setting takes a number from low to high, both included.

    Attributes:
        low: lower end; a whole number where `integer`.
        high: upper end, above `low`.
        log: drawn uniformly on a logarithmic scale; low is then above 0.
        step: distance of neighbouring values from `low` on; None for any number. Not with `log`.
        integer: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False


Space = Mapping[str, Choices | Range]
"""Dotted name of a setting -> its possible values, in the order in which they are drawn."""


def known_settings() -> dict[str, Any]:
    """Settings that can be searched: dotted name -> type; those of networks start ``networks.``."""
    of_model = {
        name: hint
        for name, hint in _leaves(ExperimentConfig).items()
        if not any(name == fixed or name.startswith(f"{fixed}.") for fixed in FIXED)
    }
    of_networks = {NETWORKS + name: hint for name, hint in _leaves(NetworkConfig).items()}
    aliases = {alias: of_networks[name] for alias, name in ALIASES.items()}
    return {**of_model, **of_networks, **aliases}


def _leaves(kind: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted names and types of a dataclass of settings."""
    hints = get_type_hints(kind)
    leaves: dict[str, Any] = {}
    for entry in fields(kind):
        name = prefix + entry.name
        hint = hints[entry.name]
        if is_dataclass(hint):
            leaves |= _leaves(hint, f"{name}.")
        else:
            leaves[name] = hint
    return leaves


def read_space(path: str | Path) -> Space:
    """Read a space from the table ``[space]`` of a TOML file.

    Raises:
        InputError: no such file, or not TOML.
        ConfigError: see `space_from`.
    """
    values = load_toml(path)
    if set(values) != {"space"} or not isinstance(values["space"], dict):
        found = ", ".join(values) or "nothing"
        raise ConfigError(f"{path}: found {found}, expected one table [space]")
    return space_from(values["space"], where=str(path))


def nested_space(path: str | Path | None) -> Space | None:
    """Read the table ``[nested]`` of a configuration file: settings selected inside each fold.

    Returns:
        The space; None without a file or table.

    Raises:
        ConfigError: see `space_from` and `combinations`.
    """
    values = load_toml(path) if path is not None else {}
    if NESTED not in values:
        return None
    table = values[NESTED]
    if not isinstance(table, dict):
        raise ConfigError(
            f"{path}: found nested = {table!r}, expected a table of settings and their choices"
        )
    space = space_from(table, where=f"{path}, [nested]")
    combinations(space)
    return space


def default_space(config: ExperimentConfig) -> Space:
    """The space for a configuration, without unused settings.

    That of preset ``default`` for a fusion of two towers; else that of the preset, or of ``trees``.

    Raises:
        ConfigError: no setting of it has an effect.
    """
    folder = files("fusion").joinpath("spaces")
    name = f"{config.preset}.toml"
    if config.neural == FUSION:
        name = "default.toml"
    elif config.preset == "default" or not folder.joinpath(name).is_file():
        name = "trees.toml"
    values = tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    space = space_from(values["space"], where=name)
    has_part = {
        "trees": bool(config.tokens.trees),
        "attention": bool(config.tokens.attention),
        "kernel": bool(config.kernel.blocks),
    }
    unused: list[str] = [] if sum(has_part.values()) > 1 else ["mix."]
    if not has_part["trees"]:
        unused += ["trees.", "mix.extra_trees", "mix.boosting"]
    if not has_part["attention"]:
        unused += ["attention.", "training.", "fusion.", "mix.attention"]
    if not has_part["kernel"]:
        unused += ["kernel.", "mix.kernel"]
    used = {key: value for key, value in space.items() if not key.startswith(tuple(unused))}
    if not used:
        raise ConfigError(
            f"preset {config.preset!r} has no search space; pass a TOML file with a table [space]"
        )
    return used


def space_from(values: Mapping[str, Any], where: str = "space") -> Space:
    """Read a space from plain values.

    Args:
        values: nested tables or dotted names; each setting is a list of choices or a table ``{low=,
            high=, log=, step=, int=}``.
        where: source, for messages.

    Raises:
        ConfigError: an unknown setting (with the nearest one), a setting named twice, a value of
            the wrong type, or a malformed range.
    """
    known = known_settings()
    space = {}
    for name, given in _flatten(values, known):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                "expected a name as in config.toml of a run, e.g. 'training.learning_rate', or "
                "'networks.lambda'"
            )
            if near:
                hint = f"did you mean {near[0]!r}?"
            raise ConfigError(f"{where}: unknown setting {name!r}; {hint}")
        place = f"{where}: setting {name!r}"
        space[name] = _read(given, known[name], place)
        _check_ends(space[name], ALIASES.get(name, name), place)
    if not space:
        raise ConfigError(f"{where}: found no setting, expected one or more")
    settings = [ALIASES.get(name, name) for name in space]
    for name, setting in zip(space, settings, strict=True):
        if settings.count(setting) > 1:
            raise ConfigError(
                f"{where}: setting {name!r} is named twice (as {setting!r} and by an alias)"
            )
    return space


def _check_ends(entry: Choices | Range, setting: str, where: str) -> None:
    """Refuse values that the setting never takes, before trials fail of them."""
    values = entry.values if isinstance(entry, Choices) else (entry.low, entry.high)
    valid = _ranges(NetworkConfig, NETWORKS) | _ranges(ExperimentConfig)
    expected = valid.get(setting)
    for value in values:
        is_large = isinstance(value, int | float) and value > largest(value)
        is_inside = not isinstance(expected, str) or RANGES[expected](value)
        is_known = not isinstance(expected, tuple) or value in expected
        if is_large or not (is_inside and is_known):
            most = f"{largest(value):,} at most" if is_large else expected
            raise ConfigError(f"{where}: found {value!r}, expected {most}")


def _ranges(kind: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted names of settings -> their range of `RANGES`, or their values, where they name one."""
    hints = get_type_hints(kind, include_extras=True)
    ranges: dict[str, Any] = {}
    for name, hint in hints.items():
        if is_dataclass(hint):
            ranges |= _ranges(hint, f"{prefix}{name}.")
        elif get_origin(hint) is Annotated:
            ranges[prefix + name] = hint.__metadata__[0]
    return ranges


def _flatten(
    values: Mapping[str, Any], known: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any]]:
    """Dotted names and entries of nested tables."""
    entries = []
    for key, value in values.items():
        name = prefix + key
        is_table = isinstance(value, dict) and name not in known
        if is_table and not set(value) & {"low", "high"}:
            entries += _flatten(value, known, f"{name}.")
        else:
            entries.append((name, value))
    return entries


def _read(given: Any, hint: Any, where: str) -> Choices | Range:
    if isinstance(given, list):
        return _read_choices(given, hint, where)
    if isinstance(given, dict):
        return _read_range(given, hint, where)
    raise ConfigError(
        f"{where}: found {given!r}, expected a list of choices or {{low = …, high = …}}"
    )


def _read_choices(given: list[Any], hint: Any, where: str) -> Choices:
    texts = {json.dumps(value) for value in given}
    if not given or len(texts) < len(given):
        raise ConfigError(
            f"{where}: found {given!r}, expected a list of one or more different values"
        )
    for value in given:
        _check_type(value, hint, where)
    return Choices(tuple(map(float, given) if hint is float else given))


def _read_range(given: dict[str, Any], hint: Any, where: str) -> Range:
    unknown = [key for key in given if key not in RANGE_KEYS]
    if unknown or not {"low", "high"} <= set(given):
        found = ", ".join(given) or "nothing"
        raise ConfigError(
            f"{where}: found {found}, expected low, high and, if wanted, log, step, int"
        )
    if hint not in (int, float):
        raise ConfigError(
            f"{where}: found a range, expected a list of choices, since its values are no numbers"
        )
    integer = given.get("int", hint is int)
    log = given.get("log", False)
    step = given.get("step")
    is_boolean = isinstance(integer, bool) and isinstance(log, bool)
    if not is_boolean or (hint is int and not integer):
        raise ConfigError(
            f"{where}: log and int are true or false, and whole numbers are needed where the "
            "setting is one"
        )
    low = given["low"]
    high = given["high"]
    for value in (low, high, step):
        if value is not None:
            _check_type(value, int if integer else float, where)
    is_ordered = math.isfinite(low) and math.isfinite(high) and low < high
    if not is_ordered or (log and low <= 0):
        positive = " and above 0, since log = true" if log else ""
        raise ConfigError(
            f"{where}: found low = {low} and high = {high}, expected low below high{positive}"
        )
    if step is not None and (log or not 0 < step <= high - low or not _on_grid(high, low, step)):
        raise ConfigError(
            f"{where}: found step = {step}, expected a number above 0 that leads from low to high "
            "in whole steps, and no log"
        )
    return Range(low, high, log, step, integer)


def _check_type(value: Any, hint: Any, where: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        int: type(value) is int,
        float: is_number,
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not fits.get(hint, is_names):
        expected = hint.__name__ if hint in fits else hint
        raise ConfigError(f"{where}: found {value!r}, expected a value of type {expected}")


def space_to_dict(space: Space) -> dict[str, Any]:
    """A space as plain values that `space_from` reads back equal."""
    plain: dict[str, Any] = {}
    for name, entry in space.items():
        if isinstance(entry, Choices):
            plain[name] = list(entry.values)
            continue
        plain[name] = {
            "low": entry.low,
            "high": entry.high,
            "log": entry.log,
            "int": entry.integer,
        }
        if entry.step is not None:
            plain[name]["step"] = entry.step
    return plain


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Draw a plain value for every setting.

    Choices are drawn by their JSON text, since some are lists.
    """
    values: dict[str, Any] = {}
    for name, entry in space.items():
        if isinstance(entry, Choices):
            texts = [json.dumps(value) for value in entry.values]
            values[name] = json.loads(trial.suggest_categorical(name, texts))
        elif entry.integer:
            low = int(entry.low)
            high = int(entry.high)
            whole = int(entry.step or 1)
            values[name] = trial.suggest_int(name, low, high, step=whole, log=entry.log)
        else:
            step = entry.step
            value = trial.suggest_float(name, entry.low, entry.high, step=step, log=entry.log)
            # Without rounding, 0.1 + 0.1 + 0.1 is 0.30000000000000004 in the files.
            values[name] = value if step is None else float(f"{value:.12g}")
    return values


def apply(
    config: ExperimentConfig, networks: NetworkConfig, values: Mapping[str, Any]
) -> tuple[ExperimentConfig, NetworkConfig]:
    """Apply values to the settings of a model and of its networks.

    ``networks.cutoff`` (or ``networks.T``) also sets the rule of the functional network to
    ``"cutoff"``.

    Raises:
        ConfigError: a value out of range, or values that do not fit each other.
    """
    of_model = to_dict(config)
    of_networks = to_dict(networks)
    for name, value in values.items():
        setting = ALIASES.get(name, name)
        if setting.startswith(NETWORKS):
            _put(of_networks, setting.removeprefix(NETWORKS), value)
        else:
            _put(of_model, setting, value)
        if name in CUTOFFS:
            of_networks["functional"]["rule"] = "cutoff"
    return (
        from_dict(ExperimentConfig, of_model, where="selected settings"),
        from_dict(NetworkConfig, of_networks, where="selected settings of the networks"),
    )


def _put(table: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for key in path:
        table = table[key]
    table[last] = value


def start_values(config: ExperimentConfig, networks: NetworkConfig, space: Space) -> dict[str, Any]:
    """Values of the settings before the search, for those that the space contains."""
    plain = {"networks": to_dict(networks), **to_dict(config)}
    values: dict[str, Any] = {}
    for name, entry in space.items():
        value: Any = plain
        for key in ALIASES.get(name, name).split("."):
            value = value[key]
        if _contains(entry, value):
            values[name] = value
    return values


def _contains(entry: Choices | Range, value: Any) -> bool:
    if isinstance(entry, Choices):
        return value in entry.values
    if not entry.low <= value <= entry.high or (entry.integer and value != int(value)):
        return False
    step = entry.step
    if step is None and entry.integer and not entry.log:
        step = 1
    return step is None or _on_grid(value, entry.low, step)


def _on_grid(value: float, low: float, step: float) -> bool:
    n_steps = (value - low) / step
    return abs(n_steps - round(n_steps)) < 1e-9


def as_params(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a trial stores them (see `suggest`)."""
    params = {}
    for name, value in values.items():
        params[name] = json.dumps(value) if isinstance(space[name], Choices) else value
    return params


def combinations(space: Space, most: int = MAX_COMBINATIONS) -> list[dict[str, Any]]:
    """Every combination of the choices of a space, the last setting changing fastest.

    Raises:
        ConfigError: a setting has a range, or there are more than `most` combinations.
    """
    lists = []
    for name, entry in space.items():
        if isinstance(entry, Range):
            raise ConfigError(
                f"setting {name!r} has a range, expected a list of choices, since all "
                "combinations are tried"
            )
        lists.append(entry.values)
    n = math.prod(len(values) for values in lists)
    if n > most:
        raise ConfigError(
            f"found {n} combinations of settings, expected at most {most}; `mirnagraph tune "
            "--nested` searches larger spaces"
        )
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]
