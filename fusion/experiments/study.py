"""Store of finished trials (an optuna study in SQLite), and draws that depend on it alone."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion.experiments.search_space import Space
from mirnagraph.errors import ConfigError, InputError, import_extra
from mirnagraph.writing.files import make_folder
from mirnagraph.writing.locks import claim

if TYPE_CHECKING:
    import optuna

DONE = "done"
PRUNED = "pruned"
REFUSED = "refused"


@dataclass(frozen=True)
class Trial:
    """One set of values and its score.

    Attributes:
        number: from 0.
        values: name of setting -> value.
        score: mean over compartments and the inner folds that were run; NaN where refused.
        fold_scores: mean over compartments of each inner fold that was run.
        so_far: score after each inner fold; NaN where it was undefined in every compartment.
        state: ``"done"``; ``"pruned"``, stopped before its last inner fold; ``"refused"``, when the
            values do not fit each other or training diverged.
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
    """The finished trial with the highest score, the first of equal ones.

    Raises:
        ConfigError: no trial is finished.
    """
    done = [trial for trial in trials if trial.state == DONE]
    if not done:
        first = trials[0].note if trials else "there is none"
        raise ConfigError(f"none of the {len(trials)} trials could be run; the first: {first}")
    return max(done, key=lambda trial: (trial.score, -trial.number))


def require_optuna() -> None:
    """Raise MissingExtraError unless the packages of the extra ``tune`` are installed."""
    for package in ("optuna", "sqlalchemy"):
        import_extra(package, "tune", "choosing settings")


@contextmanager
def open_study(path: Path, name: str) -> Iterator[optuna.Study]:
    """Open a study in a SQLite file, created where missing.

    Only finished trials are written to it, each in one transaction.

    Args:
        path: of the file.
        name: of the study.

    Raises:
        InputError: the file is no such database.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    if "?" in str(path):
        raise InputError(
            "the path of a search's file contains a question mark",
            file=path,
            hint="choose another output folder",
        )
    make_folder(path.parent)
    for name in (path.name, f"{path.name}-journal"):  # SQLite writes both by itself
        claim(path.with_name(name))
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
    except (SQLAlchemyError, RuntimeError, optuna.exceptions.StorageInternalError) as error:
        if isinstance(error, RuntimeError) and "version" not in str(error):
            raise
        reason = _first_cause(error)
        if re.search(r"disk is full|disk I/O|readonly|unable to open", reason):
            raise InputError(f"could not be written: {reason}", file=path) from error
        raise InputError(
            "the file of finished trials cannot be read",
            file=path,
            found=str(error).splitlines()[0],
            hint="delete it to search again",
        ) from error
    finally:
        optuna.logging.set_verbosity(level)


def _first_cause(error: BaseException) -> str:
    """What SQLite said, which sqlalchemy and optuna wrap."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0]


def next_draw(study: optuna.Study, fixed: Mapping[str, Any], seed: int) -> optuna.Trial:
    """A trial to draw values from, a function of finished trials, fixed values and seed alone.

    It is held in memory; `keep_trial` writes it to the study when it is finished, so that an
    interrupted trial leaves nothing behind.

    Args:
        study: with the finished trials.
        fixed: values that are not drawn (see `fusion.experiments.search_space.as_params`).
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

    about = asdict(trial) | {
        "values": json.dumps(trial.values),
        "so_far": [_finite_or_none(score) for score in trial.so_far],
        "score": _finite_or_none(trial.score),
    }
    is_done = trial.state == DONE
    finished = create_trial(
        state=TrialState.COMPLETE if is_done else TrialState.PRUNED,
        value=trial.score if is_done else None,
        params=draw.params,
        distributions=draw.distributions,
        intermediate_values={k: v for k, v in enumerate(trial.so_far) if math.isfinite(v)},
        user_attrs=about,
    )
    study.add_trial(finished)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _float_or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def read_trials(study: optuna.Study, space: Space, path: Path) -> list[Trial]:
    """Finished trials of a study, in order.

    Args:
        study: see `open_study`.
        space: of the search.
        path: of the file, for messages.

    Raises:
        InputError: a trial that `keep_trial` did not write for this space.
    """
    trials = []
    for number, frozen in enumerate(study.get_trials(deepcopy=False)):
        about = frozen.user_attrs
        try:
            values = json.loads(about["values"])
            trial = Trial(
                number,
                values,
                score=_float_or_nan(about["score"]),
                fold_scores=tuple(map(float, about["fold_scores"])),
                so_far=tuple(map(_float_or_nan, about["so_far"])),
                state=str(about["state"]),
                seconds=float(about["seconds"]),
                note=str(about["note"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"trial {number} is damaged",
                file=path,
                found=repr(error),
                hint="delete the file to search again",
            ) from None
        if list(values) != list(space):
            raise InputError(
                f"trial {number} is of another search",
                file=path,
                found=", ".join(values),
                expected=", ".join(space),
                hint="delete the file to search again",
            )
        trials.append(trial)
    return trials
