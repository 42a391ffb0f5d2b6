"""Run folders: settings, input hashes and versions of a run, its fingerprint, and resuming."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from mirnagraph.errors import InputError, MirnagraphError
from mirnagraph.io import sha256_of
from mirnagraph.reading.seals import sealed
from mirnagraph.runs.run_file import (
    FILES,
    FORMAT_VERSION,
    REPLACES,
    check_files,
    hash_files,
    read_run_json,
)
from mirnagraph.writing.disk import explain_disk
from mirnagraph.writing.files import write_text
from mirnagraph.writing.folders import (
    check_output_folder,
    empty_folder,
    is_abandoned,
    is_empty,
    place_beside,
    remove_folder,
    replace_folder,
)
from mirnagraph.writing.locks import lock, locked, start_list, unlock
from mirnagraph.writing.marker import LOCK, header

BEGUN = {"config.toml"}
"""Files of a run that was killed before it had a ``run.json``."""

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
    """Return the versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run.

    Attributes:
        path: the folder, while the run is written.
        resumed: whether it held a run of the same fingerprint before.
        finished: whether that run was complete.
        replaces: the folder whose place it takes when it is finished; None where it is in its
            place.
        content: of which command it is, see `mirnagraph.writing.contents`.
    """

    path: Path
    resumed: bool = False
    finished: bool = False
    replaces: Path | None = None
    content: str = ""

    def read(self) -> dict[str, Any]:
        """Return the contents of ``run.json``."""
        return read_run_json(self.path)

    def reopen(self) -> RunFolder:
        """Reopen a finished run to add results; `finish` has to follow.

        Raises:
            CheckpointError: a file of it was changed, see `mirnagraph.runs.run_file`.
        """
        check_files(self.path, self.read())
        self.add(status="running", _resumed_at=time.time())
        return replace(self, resumed=True, finished=False)

    def add(self, **more: Any) -> None:
        """Add entries to ``run.json``."""
        _write(self.path, self.read() | more)

    def finish(self, **more: Any) -> RunFolder:
        """Mark the run as complete and add its seconds and further entries to ``run.json``.

        Returns:
            The run in its place, which it takes now where it replaces another.
        """
        about = self.read()
        about.update(more, status="done", finished=_now())
        about[FILES] = hash_files(self.path)
        seconds = time.time() - about.pop("_resumed_at")
        about["seconds"] = round(about.get("seconds", 0.0) + seconds, 2)
        about.pop(REPLACES, None)
        _write(self.path, about)
        if self.replaces is not None:
            first = header(str(about["fingerprint"]), self.content)
            replace_folder(self.path, self.replaces, first)
        self.unlock()
        return replace(self, path=self.replaces or self.path, replaces=None)

    def unlock(self) -> None:
        """Give back the locks of the run."""
        unlock(self.path)
        if self.replaces is not None:
            unlock(self.replaces)


@contextlib.contextmanager
def rewriting(folder: str | Path, *names: str) -> Iterator[None]:
    """Let files of a finished run be written again in the block, and list them as they are then.

    A killed block leaves them unlisted, so that no reader refuses them.

    Args:
        folder: of the run; nothing is listed in one without ``run.json``, or of an earlier version.
        names: of the files, with ``/``; those that are not there afterwards are not listed.
    """
    run = RunFolder(Path(folder))
    files = run.read().get(FILES) if (run.path / "run.json").is_file() else None
    if files is None:
        yield
        return
    others = {name: sha256 for name, sha256 in files.items() if name not in names}
    run.add(**{FILES: others})
    yield
    written = {name: sha256_of(run.path / name) for name in names if (run.path / name).is_file()}
    run.add(**{FILES: {**others, **written}})


def fingerprint(settings: str, inputs: Mapping[str, str]) -> str:
    """Return the sha256 of what decides a run's results.

    Args:
        settings: the resolved settings as TOML.
        inputs: name of each input -> sha256.
    """
    facts = {"settings": settings, "inputs": dict(inputs), "versions": package_versions()}
    text = json.dumps(facts, sort_keys=True)
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
    content: str = "",
) -> RunFolder:
    """Make a run folder, or resume the unfinished run in it.

    The folder is locked until the run is finished or the process ends, and lists its files. A run
    that replaces another is written beside it, in ``FOLDER.unfinished``, and takes its place when
    it is finished; until then the other stays as it is. Where a folder cannot be renamed, such as a
    mount, the new run is written in ``FOLDER/unfinished``.

    Args:
        folder: the run folder.
        settings: the resolved settings as TOML, written to ``config.toml``.
        inputs: name of each input -> sha256.
        seed: of the run, for ``run.json``.
        overwrite: replace another or a finished run; an unfinished one of the same fingerprint
            resumes.
        resume: keep a finished run of the same fingerprint, also with `overwrite`.
        about: further entries of ``run.json``.
        content: of which command the run is, see `mirnagraph.writing.contents`; empty for a part of
            another run.

    Raises:
        InputError: the folder holds something else, a run of another fingerprint, or a finished run
            and neither `overwrite` nor `resume` is set; or there is another ``FOLDER.unfinished``.
    """
    path = Path(folder)
    run_fingerprint = fingerprint(settings, inputs)
    find_kept = partial(
        _kept, path, run_fingerprint, overwrite=overwrite, resume=resume, content=content
    )
    with _holder_named(path):
        kept = find_kept()
    if kept is not None and kept.finished:
        return kept
    lock(path)
    run = RunFolder(path)
    try:
        kept = find_kept()  # again: another command may have written until now
        beside = place_beside(path)
        if kept is None and beside is not None and _goes_beside(path, beside, run_fingerprint):
            run = RunFolder(beside, replaces=path, content=content)
            if path in beside.parents:
                start_list(path, "")  # of an earlier version: it lists what is written in it
            else:
                lock(beside)
            kept = _kept_beside(run, run_fingerprint)
        if kept is None:
            empty_folder(run.path)
            start_list(run.path, run_fingerprint, content)
            _begin(run, settings, inputs, run_fingerprint, seed, about or {})
        elif not kept.finished:
            start_list(run.path, run_fingerprint, content)
            kept.add(status="running", _resumed_at=time.time())
    except BaseException:
        run.unlock()
        raise
    return run if kept is None else kept


@contextlib.contextmanager
def _holder_named(path: Path) -> Iterator[None]:
    """Let an error of a folder in which another command has just begun say which that is."""
    try:
        yield
    except InputError:
        if (path / LOCK).is_file():
            with locked(path):  # raises where another process holds it
                pass
        raise


def _kept(
    path: Path, run_fingerprint: str, *, overwrite: bool, resume: bool, content: str
) -> RunFolder | None:
    """Run in a folder that is resumed or kept; None for a folder that a new run may fill.

    Raises:
        InputError: see `open_run`.
    """
    with explain_disk(path):
        is_filled = path.is_dir() and not is_empty(path)
    if is_filled and is_abandoned(path, BEGUN):
        content = ""  # nothing is lost
    elif is_filled:
        if not overwrite:
            return _resumed(path, run_fingerprint, keep_finished=resume)
        about = _same_run(path, run_fingerprint)
        if about is not None and (resume or about["status"] != "done"):
            return RunFolder(path, resumed=True, finished=about["status"] == "done")
    check_output_folder(path, overwrite=overwrite or is_filled, content=content)
    return None


def _goes_beside(path: Path, beside: Path, run_fingerprint: str) -> bool:
    """Whether a new run is written beside its folder: that holds another, or gave its place."""
    if is_empty(path) or is_abandoned(path, BEGUN):
        return _same_run(beside, run_fingerprint) is not None
    return True


def _kept_beside(run: RunFolder, run_fingerprint: str) -> RunFolder | None:
    """Run in a folder beside another that is resumed; None where a new one may fill it.

    Raises:
        InputError: it holds something else.
    """
    if not run.path.is_dir() or is_empty(run.path) or is_abandoned(run.path, BEGUN):
        return None
    if _same_run(run.path, run_fingerprint) is not None:
        return replace(run, resumed=True)
    about = _about_of(run.path)
    if run.replaces is None or about.get(REPLACES) != run.replaces.name:
        raise InputError(
            "the folder of the new run, until it is finished, holds something else",
            file=run.path,
            hint="move it elsewhere, or choose another output folder",
        )
    check_output_folder(run.path, overwrite=True)
    return None


def _same_run(path: Path, run_fingerprint: str) -> dict[str, Any] | None:
    """Entries of ``run.json`` of a run of this fingerprint in a folder; None for anything else."""
    about = _about_of(path)
    return about if about.get("fingerprint") == run_fingerprint and "status" in about else None


def _about_of(path: Path) -> dict[str, Any]:
    """Entries of ``run.json``; none where there is no such file, or a damaged one."""
    try:
        return read_run_json(path)
    except InputError:
        return {}


def _begin(
    run: RunFolder,
    settings: str,
    inputs: Mapping[str, str],
    run_fingerprint: str,
    seed: int,
    about: Mapping[str, Any],
) -> None:
    write_text(run.path / "config.toml", settings)
    entries = {
        "format_version": FORMAT_VERSION,
        "status": "running",
        "fingerprint": run_fingerprint,
        "seed": seed,
        "command": sys.argv,
        "started": _now(),
        "inputs": dict(inputs),
        "versions": package_versions(),
        "machine": {"system": platform.system(), "processor": platform.machine()},
        **about,
        "seconds": 0.0,
        "_resumed_at": time.time(),
    }
    if run.replaces is not None:
        entries[REPLACES] = run.replaces.name
    _write(run.path, entries)


def run_or_resume(  # noqa: PLR0913 (one more than `open_run`)
    folder: str | Path,
    settings: str,
    inputs: Mapping[str, str],
    body: Callable[[RunFolder], Result],
    *,
    seed: int,
    overwrite: bool = False,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    content: str = "",
) -> tuple[Result | None, RunFolder]:
    """Open a run folder, do the work, and mark the run as finished.

    An error of data or settings before the first fold is finished removes a new folder, so that the
    next command can use it.

    Args:
        folder: the run folder.
        settings: the resolved settings as TOML.
        inputs: name of each input -> sha256.
        body: does the work in the opened folder and returns the result.
        seed: of the run.
        overwrite: see `open_run`.
        resume: see `open_run`.
        about: see `open_run`.
        content: see `open_run`.

    Returns:
        The result, or None for a finished run that is kept; and the folder.

    Raises:
        InputError: see `open_run`.
    """
    run = open_run(
        folder,
        settings,
        inputs,
        seed=seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
        content=content,
    )
    if run.finished:
        return None, run
    return finish_run(run, body)


def finish_run(run: RunFolder, body: Callable[[RunFolder], Result]) -> tuple[Result, RunFolder]:
    """Do the work of an open run and mark it as finished (see `run_or_resume`)."""
    try:
        try:
            result = body(run)
        except MirnagraphError:
            if not run.resumed and not any(run.path.rglob("folds/fold_*")):
                remove_folder(run.path)
            raise
        return result, run.finish()
    finally:
        run.unlock()


def _resumed(path: Path, run_fingerprint: str, *, keep_finished: bool) -> RunFolder:
    refused = partial(InputError, file=path)
    if not (path / "run.json").exists():
        what = "the output folder exists and is not empty"
        raise refused(what, hint="choose another folder")
    about = read_run_json(path)
    if about.get("fingerprint") != run_fingerprint:
        raise refused(
            "the output folder holds a run with other settings, data or versions",
            hint="choose another folder, or pass --overwrite to replace it",
        )
    run = RunFolder(path, resumed=True)
    if about.get("status") != "done":
        return run
    if keep_finished:
        return replace(run, finished=True)
    raise refused(
        "the output folder holds this run, finished",
        hint="pass --overwrite to run it again, or --resume to keep it",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(path: Path, about: dict[str, Any]) -> None:
    write_text(path / "run.json", json.dumps(sealed(about), indent=2) + "\n")
