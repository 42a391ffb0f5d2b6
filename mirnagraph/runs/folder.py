"""The run folder: what a run was made from, refused or resumed by its fingerprint, every file written whole."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from mirnagraph.errors import InputError, MirnagraphError
from mirnagraph.io import write_text

FORMAT_VERSION = 1

Result = TypeVar("Result")

PACKAGES = (
    "mirnagraph",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "torch-geometric",
    "gensim",
    "numba",
    "pyopal",
)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run.

    Attributes:
        path: the folder.
        resumed: whether an unfinished run of the same fingerprint was found in it.
        finished: whether that run was already complete.
    """

    path: Path
    resumed: bool = False
    finished: bool = False

    def read(self) -> dict[str, Any]:
        """Contents of ``run.json``."""
        return read_run_json(self.path)

    def reopen(self) -> RunFolder:
        """The same finished run as one that goes on: to add to it, and then `finish` it again."""
        _write(self.path, {**self.read(), "status": "running", "_resumed_at": time.time()})
        return RunFolder(self.path, resumed=True)

    def add(self, **more: Any) -> None:
        """Add entries to ``run.json``."""
        _write(self.path, {**self.read(), **more})

    def finish(self, **more: Any) -> None:
        """Mark the run as complete, with the seconds it took and whatever else is to be kept."""
        about = self.read()
        about.update(more, status="done", finished=datetime.now(UTC).isoformat(timespec="seconds"))
        about["seconds"] = round(
            about.get("seconds", 0.0) + time.time() - about.pop("_resumed_at"), 2
        )
        write_text(self.path / "run.json", json.dumps(about, indent=2) + "\n")


def read_run_json(folder: str | Path) -> dict[str, Any]:
    """Contents of a folder's ``run.json``; raises InputError where there is none or it is damaged."""
    path = Path(folder) / "run.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "not a run folder (no run.json)",
            file=folder,
            hint="give the folder that `mirnagraph train --out` wrote",
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError("damaged run.json", file=path, found=str(error)) from None
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        found = about.get("format_version") if isinstance(about, dict) else type(about).__name__
        raise InputError(
            "unknown format of run.json",
            file=path,
            column="format_version",
            found=found,
            expected=FORMAT_VERSION,
        )
    return about


def fingerprint(settings: str, inputs: Mapping[str, str]) -> str:
    """sha256 of what decides a run's numbers: its settings, its inputs' hashes, and the versions in use."""
    text = json.dumps(
        {
            "settings": settings,
            "inputs": dict(sorted(inputs.items())),
            "versions": package_versions(),
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def open_run(
    folder: str | Path,
    settings: str,
    inputs: Mapping[str, str],
    *,
    seed: int,
    overwrite: bool = False,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Make a run folder, or go on with the unfinished run that is in it.

    Args:
        settings: the resolved settings as TOML, kept as ``config.toml``.
        inputs: name of each input -> sha256.
        overwrite: throw away what is there.
        resume: a finished run of the same fingerprint is returned as it is.
        about: more to keep in ``run.json``.

    Raises:
        InputError: the folder holds something else, a run of another fingerprint, or a finished run and neither
            `overwrite` nor `resume` is set.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError("a file stands where the run folder goes", file=path)
    print_of = fingerprint(settings, inputs)
    if path.is_dir() and any(path.iterdir()):
        if overwrite:
            _refuse_foreign(path)
            shutil.rmtree(path)
        else:
            return _continue(path, print_of, resume=resume)
    path.mkdir(parents=True, exist_ok=True)
    write_text(path / "config.toml", settings)
    _write(path, {
        "format_version": FORMAT_VERSION, "status": "running", "fingerprint": print_of, "seed": seed, "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"), "inputs": dict(inputs), "versions": package_versions(),
        "machine": {"system": platform.system(), "processor": platform.machine()},
        **(about or {}), "seconds": 0.0, "_resumed_at": time.time(),
    })  # fmt: skip
    return RunFolder(path)


def run_or_resume(
    folder: str | Path,
    settings: str,
    inputs: Mapping[str, str],
    body: Callable[[RunFolder], Result],
    *,
    seed: int,
    overwrite: bool = False,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
) -> tuple[Result | None, RunFolder]:
    """Open a run folder, do the work, and mark the run as finished.

    An error of data or settings before the first fold is finished removes a new folder, so that the
    next command finds it free.

    Args:
        folder, settings, inputs, seed, overwrite, resume, about: see `open_run`.
        body: does the work in the opened folder and returns the result.

    Returns:
        The result, None where a finished run was kept; and the folder.

    Raises:
        InputError: see `open_run`.
    """
    run = open_run(
        folder, settings, inputs, seed=seed, overwrite=overwrite, resume=resume, about=about
    )
    if run.finished:
        return None, run
    return finish_run(run, body), run


def finish_run(run: RunFolder, body: Callable[[RunFolder], Result]) -> Result:
    """Do the work of an open run and mark it as finished (see `run_or_resume`)."""
    try:
        result = body(run)
    except MirnagraphError:
        has_finished_folds = any(run.path.rglob("folds/fold_*"))
        if not run.resumed and not has_finished_folds:
            shutil.rmtree(run.path)
        raise
    run.finish()
    return result


def _refuse_foreign(path: Path) -> None:
    """--overwrite replaces runs, not whatever else a mistyped path may hold."""
    if not (path / "run.json").exists():
        raise InputError(
            "the folder is not empty and holds no run, so it is not replaced",
            file=path,
            hint="choose another folder, or empty this one",
        )


def _continue(path: Path, print_of: str, *, resume: bool) -> RunFolder:
    if not (path / "run.json").exists():
        raise InputError(
            "the output folder exists and is not empty", file=path, hint="choose another folder"
        )
    about = read_run_json(path)
    if about["fingerprint"] != print_of:
        hint = "choose another folder, or pass --overwrite to replace it"
        raise InputError(
            "the output folder holds a run with other settings, data or versions",
            file=path,
            hint=hint,
        )
    if about["status"] == "done":
        if resume:
            return RunFolder(path, resumed=True, finished=True)
        raise InputError(
            "the output folder holds this very run, finished",
            file=path,
            hint="pass --overwrite to run it again, or --resume to keep it",
        )
    about["_resumed_at"] = time.time()
    _write(path, about)
    return RunFolder(path, resumed=True)


def _write(path: Path, about: dict[str, Any]) -> None:
    write_text(path / "run.json", json.dumps(about, indent=2) + "\n")
