"""Finished trials of a search, kept in a file that survives a kill: an optuna study in SQLite, and draws that depend on nothing else."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion.experiments.search_space import Space
from mirnagraph.errors import ConfigError, InputError, MissingExtraError

if TYPE_CHECKING:
    import optuna

DONE = "done"
PRUNED = "pruned"
REFUSED = "refused"


@dataclass(frozen=True)
class Trial:
    """One set of values and how it did.

    Attributes:
        number: from 0.
        values: name of setting -> value.
        score: mean over compartments and the inner folds that were run; NaN where refused.
        fold_scores: mean over compartments of each inner fold that was run.
        so_far: score after each inner fold; NaN where no compartment had an answer yet.
        state: ``"done"``; ``"pruned"``, stopped before its last inner fold; ``"refused"``, when the values do not go together or training diverged.
        seconds: wall-clock time.
        note: why it was refused, or which earlier trial had the same values.
    """

    number: int
    values: dict[str, Any]
    score: float
    fold_scores: tuple[float, ...] = ()
    so_far: tuple[float, ...] = ()
    state: str = DONE
    seconds: float = 0.0
    note: str = ""


def best_of(trials: list[Trial]) -> Trial:
    """The finished trial of the highest score, the first of equals; raises ConfigError where no trial was finished."""
    done = [trial for trial in trials if trial.state == DONE]
    if not done:
        raise ConfigError(
            f"none of the {len(trials)} trials could be run; the first: {trials[0].note if trials else 'there is none'}"
        )
    return max(done, key=lambda trial: (trial.score, -trial.number))


def require_optuna() -> None:
    """Raise MissingExtraError where the packages of the extra ``tune`` are not installed."""
    for package in ("optuna", "sqlalchemy"):
        try:
            import_module(package)
        except ImportError:
            raise MissingExtraError(package, "tune", "choosing settings") from None


@contextmanager
def open_study(path: Path, name: str) -> Iterator[optuna.Study]:
    """The study `name` in a SQLite file, made where it does not exist; only finished trials are ever written to it, each in one transaction.

    Raises:
        InputError: the file cannot be opened as such.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    if "?" in str(path):
        raise InputError(
            "a question mark in the path of a search's file",
            file=path,
            hint="choose another output folder",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        try:
            yield optuna.create_study(
                study_name=name, storage=storage, direction="maximize", load_if_exists=True
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (SQLAlchemyError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "version" not in str(error):
            raise
        raise InputError(
            "the file of finished trials cannot be read",
            file=path,
            found=str(error).splitlines()[0],
            hint="delete it to search anew",
        ) from error
    finally:
        optuna.logging.set_verbosity(level)


def next_draw(study: optuna.Study, fixed: Mapping[str, Any], seed: int) -> optuna.Trial:
    """A trial to draw values from: a function of the finished trials, the fixed values and the seed, whatever happened before.

    It lives in memory; `keep_trial` writes it to the study when it is finished, so that a kill leaves nothing half-done.

    Args:
        fixed: values that are not drawn, as `fusion.experiments.search_space.as_params` gives them.
        seed: of this draw.
    """
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, constant_liar=False)
    memory = optuna.create_study(
        direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner()
    )
    memory.add_trials(study.get_trials(deepcopy=False))
    if fixed:
        memory.enqueue_trial(dict(fixed))
    return memory.ask()


def keep_trial(study: optuna.Study, draw: optuna.Trial, trial: Trial) -> None:
    """Write a finished trial to the study."""
    from optuna.trial import TrialState, create_trial

    about = {
        "values": json.dumps(trial.values),
        "fold_scores": list(trial.fold_scores),
        "so_far": [s if math.isfinite(s) else None for s in trial.so_far],
    }
    more = {
        "state": trial.state,
        "score": trial.score if math.isfinite(trial.score) else None,
        "seconds": trial.seconds,
        "note": trial.note,
    }
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE if trial.state == DONE else TrialState.PRUNED,
            value=trial.score if trial.state == DONE else None,
            params=draw.params,
            distributions=draw.distributions,
            intermediate_values={
                step: value for step, value in enumerate(trial.so_far) if math.isfinite(value)
            },
            user_attrs={**about, **more},
        )
    )


def read_trials(study: optuna.Study, space: Space, path: Path) -> list[Trial]:
    """Finished trials of a study, in order; raises InputError where one was not written by `keep_trial` for this space."""
    found = []
    for number, frozen in enumerate(study.get_trials(deepcopy=False)):
        about = frozen.user_attrs
        try:
            values = json.loads(about["values"])
            scores = tuple(float(s) for s in about["fold_scores"])
            so_far = tuple(float("nan") if s is None else float(s) for s in about["so_far"])
            score = float("nan") if about["score"] is None else float(about["score"])
            trial = Trial(
                number,
                values,
                score,
                scores,
                so_far,
                str(about["state"]),
                float(about["seconds"]),
                str(about["note"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"trial {number} is damaged",
                file=path,
                found=repr(error),
                hint="delete the file to search anew",
            ) from None
        if list(values) != list(space):
            expected = ", ".join(space)
            raise InputError(
                f"trial {number} is of another search",
                file=path,
                found=", ".join(values),
                expected=expected,
                hint="delete the file to search anew",
            )
        found.append(trial)
    return found
