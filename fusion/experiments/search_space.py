"""Search spaces: which settings may take which values, read from TOML, checked by name and type, laid over a configuration."""

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
from typing import TYPE_CHECKING, Any, get_type_hints

from fusion.config import NESTED, ExperimentConfig
from mirnagraph.config import from_dict, load_toml, to_dict
from mirnagraph.errors import ConfigError
from mirnagraph.networks.build import NetworkConfig

if TYPE_CHECKING:
    import optuna

NETWORKS = "networks."

# The paper's own words for what it varies; a cut-off only has a meaning where the network is cut by one.
ALIASES: dict[str, str] = {
    "networks.lambda": "networks.functional.lambda_",
    "networks.cutoff": "networks.functional.cutoff",
    "networks.T": "networks.functional.cutoff",
}

# The protocol is not to be chosen by its own result, and node2vec takes its width from similarity_dim and association_dim.
FIXED = ("preset", "source", "seed", "folds", "embedding.node2vec.dim")

RANGE_KEYS = ("low", "high", "log", "step", "int")

MOST_COMBINATIONS = 200


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
        low, high: ends, low below high; whole numbers where `integer`.
        log: drawn evenly on a logarithmic scale; low is then above 0.
        step: distance of neighbouring values from `low` on; None for any number. Not together with `log`.
        integer: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False


Space = Mapping[str, Choices | Range]
"""Dotted name of a setting -> what it may be, in the order in which values are drawn."""


def known_settings() -> dict[str, Any]:
    """Dotted name of every setting that can be searched -> its type; settings of the networks start with ``networks.``."""
    found = {
        name: hint
        for name, hint in _leaves(ExperimentConfig).items()
        if not any(name == f or name.startswith(f"{f}.") for f in FIXED)
    }
    below = {NETWORKS + name: hint for name, hint in _leaves(NetworkConfig).items()}
    return {**found, **below, **{alias: below[name] for alias, name in ALIASES.items()}}


def _leaves(kind: Any, prefix: str = "") -> dict[str, Any]:
    hints = get_type_hints(kind)
    found = {}
    for entry in fields(kind):
        name = prefix + entry.name
        hint = hints[entry.name]
        found.update(_leaves(hint, f"{name}.") if is_dataclass(hint) else {name: hint})
    return found


def read_space(path: str | Path) -> Space:
    """Read a space from the table ``[space]`` of a TOML file.

    Raises:
        InputError: no such file, or not TOML. ConfigError: see `space_from`.
    """
    values = load_toml(path)
    if set(values) != {"space"} or not isinstance(values["space"], dict):
        raise ConfigError(
            f"{path}: found {', '.join(values) or 'nothing'}, expected one table [space]"
        )
    return space_from(values["space"], where=str(path))


def nested_space(path: str | Path | None) -> Space | None:
    """The table ``[nested]`` of a configuration file: settings of which each fold chooses one combination; None where there is none.

    Raises:
        ConfigError: see `space_from` and `combinations`.
    """
    values = load_toml(path) if path is not None else {}
    if NESTED not in values:
        return None
    if not isinstance(values[NESTED], dict):
        raise ConfigError(
            f"{path}: found nested = {values[NESTED]!r}, expected a table of settings and their choices"
        )
    space = space_from(values[NESTED], where=f"{path}, [nested]")
    combinations(space)
    return space


def default_space(config: ExperimentConfig) -> Space:
    """The space that comes with the preset of a configuration; where a preset has none, that of ``default`` as far as it has an effect."""
    folder = files("fusion").joinpath("spaces")
    name = (
        f"{config.preset}.toml"
        if folder.joinpath(f"{config.preset}.toml").is_file()
        else "default.toml"
    )
    space = space_from(
        tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))["space"], where=name
    )
    idle = [] if config.tokens.trees else ["trees.", "mix."]
    idle += [] if config.tokens.attention else ["attention.", "training.", "mix."]
    chosen = {key: value for key, value in space.items() if not key.startswith(tuple(idle))}
    if not chosen:
        raise ConfigError(
            f"no search space comes with the preset {config.preset!r}; write one and name it (a table [space] in a TOML file)"
        )
    return chosen


def space_from(values: Mapping[str, Any], where: str = "space") -> Space:
    """Read a space from plain values: nested tables or dotted names, each setting a list of choices or ``{low=, high=, log=, step=, int=}``.

    Raises:
        ConfigError: an unknown setting (with the nearest known one), a setting named twice, a value of the wrong type, or a
            range that is none.
    """
    known = known_settings()
    space = {}
    for name, given in _flatten(values, known):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = (
                f"did you mean {near[0]!r}?"
                if near
                else "expected a name as in config.toml of a run, e.g. 'training.learning_rate', or 'networks.lambda'"
            )
            raise ConfigError(f"{where}: unknown setting {name!r}; {meant}")
        space[name] = _read(given, known[name], f"{where}: setting {name!r}")
    if not space:
        raise ConfigError(f"{where}: found no setting, expected one or more")
    real = [ALIASES.get(name, name) for name in space]
    twice = next(
        (name for name, other in zip(space, real, strict=True) if real.count(other) > 1), None
    )
    if twice is not None:
        raise ConfigError(
            f"{where}: setting {twice!r} is named twice (as {ALIASES.get(twice, twice)!r} and by another word)"
        )
    return space


def _flatten(
    values: Mapping[str, Any], known: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any]]:
    found = []
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, dict) and name not in known and not set(value) & {"low", "high"}:
            found += _flatten(value, known, f"{name}.")
        else:
            found.append((name, value))
    return found


def _read(given: Any, hint: Any, where: str) -> Choices | Range:
    if isinstance(given, list):
        if not given or len({json.dumps(v) for v in given}) < len(given):
            raise ConfigError(
                f"{where}: found {given!r}, expected a list of one or more different values"
            )
        for value in given:
            _check_type(value, hint, where)
        return Choices(tuple(float(v) if hint is float else v for v in given))
    if not isinstance(given, dict):
        raise ConfigError(
            f"{where}: found {given!r}, expected a list of choices or {{low = …, high = …}}"
        )
    unknown = [key for key in given if key not in RANGE_KEYS]
    if unknown or not {"low", "high"} <= set(given):
        raise ConfigError(
            f"{where}: found {', '.join(given) or 'nothing'}, expected low, high and, if wanted, log, step, int"
        )
    if hint not in (int, float):
        raise ConfigError(
            f"{where}: found a range, expected a list of choices, since its values are no numbers"
        )
    integer = given.get("int", hint is int)
    log = given.get("log", False)
    step = given.get("step")
    if not isinstance(integer, bool) or not isinstance(log, bool) or (hint is int and not integer):
        raise ConfigError(
            f"{where}: log and int are true or false, and whole numbers are needed where the setting is one"
        )
    for value in (given["low"], given["high"], *([] if step is None else [step])):
        _check_type(value, int if integer else float, where)
    low = given["low"]
    high = given["high"]
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        raise ConfigError(
            f"{where}: found low = {low} and high = {high}, expected low below high{' and above 0, since log = true' if log else ''}"
        )
    if step is not None and (log or not 0 < step <= high - low or not _on_grid(high, low, step)):
        raise ConfigError(
            f"{where}: found step = {step}, expected a number above 0 that leads from low to high in whole steps, and no log beside it"
        )
    return Range(low, high, log, step, integer)


def _check_type(value: Any, hint: Any, where: str) -> None:
    names = isinstance(value, list) and all(isinstance(v, str) for v in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        int: type(value) is int,
        float: number,
        bool: isinstance(value, bool),
        str: isinstance(value, str),
    }.get(hint, names)
    if not fits:
        raise ConfigError(
            f"{where}: found {value!r}, expected a value of type {getattr(hint, '__name__', None) if hint in (int, float, bool, str) else hint}"
        )


def space_to_dict(space: Space) -> dict[str, Any]:
    """A space as plain values that `space_from` reads back equal."""
    plain: dict[str, Any] = {}
    for name, entry in space.items():
        if isinstance(entry, Choices):
            plain[name] = list(entry.values)
        else:
            plain[name] = {
                "low": entry.low,
                "high": entry.high,
                "log": entry.log,
                "int": entry.integer,
                **({} if entry.step is None else {"step": entry.step}),
            }
    return plain


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Have a trial draw a value for every setting: name -> plain value. Choices are drawn by their JSON text, since some are lists."""
    values: dict[str, Any] = {}
    for name, entry in space.items():
        if isinstance(entry, Choices):
            values[name] = json.loads(
                trial.suggest_categorical(name, [json.dumps(value) for value in entry.values])
            )
        elif entry.integer:
            values[name] = trial.suggest_int(
                name, int(entry.low), int(entry.high), step=int(entry.step or 1), log=entry.log
            )
        else:
            drawn = trial.suggest_float(name, entry.low, entry.high, step=entry.step, log=entry.log)
            values[name] = (
                drawn if entry.step is None else float(f"{drawn:.12g}")
            )  # 0.1 + 0.1 + 0.1 reads 0.3 in the files
    return values


def apply(
    config: ExperimentConfig, networks: NetworkConfig, values: Mapping[str, Any]
) -> tuple[ExperimentConfig, NetworkConfig]:
    """Lay values over the settings of the model and of its networks.

    ``networks.cutoff`` (or ``networks.T``) also sets the rule of the functional network to ``"cutoff"``.

    Raises:
        ConfigError: a value out of range, or values that do not go together.
    """
    plain = to_dict(config)
    below = to_dict(networks)
    for name, value in values.items():
        real = ALIASES.get(name, name)
        if real.startswith(NETWORKS):
            _put(below, real.removeprefix(NETWORKS), value)
            if name in ("networks.cutoff", "networks.T"):
                below["functional"]["rule"] = "cutoff"
        else:
            _put(plain, real, value)
    return from_dict(ExperimentConfig, plain, where="chosen settings"), from_dict(
        NetworkConfig, below, where="chosen settings of the networks"
    )


def _put(table: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for key in path:
        table = table[key]
    table[last] = value


def start_values(config: ExperimentConfig, networks: NetworkConfig, space: Space) -> dict[str, Any]:
    """Values that the settings have before the search, for those of them that lie in the space."""
    found: dict[str, Any] = {}
    for name, entry in space.items():
        value: Any = {"networks": to_dict(networks), **to_dict(config)}
        for key in ALIASES.get(name, name).split("."):
            value = value[key]
        if _inside(entry, value):
            found[name] = value
    return found


def _inside(entry: Choices | Range, value: Any) -> bool:
    if isinstance(entry, Choices):
        return value in entry.values
    if not entry.low <= value <= entry.high or (entry.integer and value != int(value)):
        return False
    step = entry.step or (1 if entry.integer and not entry.log else None)
    return step is None or _on_grid(value, entry.low, step)


def _on_grid(value: float, low: float, step: float) -> bool:
    return abs((value - low) / step - round((value - low) / step)) < 1e-9


def as_params(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a trial stores them (see `suggest`)."""
    return {
        name: json.dumps(value) if isinstance(space[name], Choices) else value
        for name, value in values.items()
    }


def combinations(space: Space, most: int = MOST_COMBINATIONS) -> list[dict[str, Any]]:
    """Every combination of the choices of a space, the last setting changing fastest.

    Raises:
        ConfigError: a setting has a range, or there are more than `most` combinations.
    """
    ranges = [name for name, entry in space.items() if isinstance(entry, Range)]
    if ranges:
        raise ConfigError(
            f"setting {ranges[0]!r} has a range, expected a list of choices, since all combinations are to be tried"
        )
    lists = [entry.values for entry in space.values() if isinstance(entry, Choices)]
    number = math.prod(len(values) for values in lists)
    if number > most:
        raise ConfigError(
            f"found {number} combinations of settings, expected at most {most}; `mirnagraph tune --nested` searches larger spaces"
        )
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]
