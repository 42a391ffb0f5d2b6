"""Models on the Hugging Face hub: push and pull through huggingface_hub."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fusion.export.files import CARD, EXPORT, check_folder, check_target, read_export
from mirnagraph.errors import ConfigError, FetchError, MirnagraphError, import_extra
from mirnagraph.io import write_folder
from mirnagraph.writing.contents import MODEL
from mirnagraph.writing.files import copy_file

# pathlib turns two slashes into one
_ADDRESS = re.compile(r"hf:/{1,2}(?P<repo>[^@]*)(@(?P<revision>.+))?")

_REPO = re.compile(r"[\w\-][\w.\-]*/[\w\-][\w.\-]*", re.ASCII)

REPLACED = ["*.json", "*.tsv", "*.safetensors"]
"""Files of an earlier model that a push deletes; a licence or a picture stays."""


@dataclass(frozen=True)
class HubAddress:
    """Repository and revision of a model on the hub.

    Attributes:
        repo: ``owner/name``.
        revision: branch, tag or commit; None for the newest.
    """

    repo: str
    revision: str | None = None

    def __post_init__(self) -> None:
        if not _REPO.fullmatch(self.repo):
            raise ConfigError(
                f"{self.repo!r} is no repository of the Hugging Face hub, expected OWNER/NAME"
            )


def hub_address(path: str | os.PathLike[str]) -> HubAddress | None:
    """Parse ``hf://owner/name`` or ``hf://owner/name@revision``; None for a path.

    Raises:
        ConfigError: a malformed address.
    """
    match = _ADDRESS.fullmatch(os.fspath(path))
    return None if match is None else HubAddress(match["repo"], match["revision"])


def push(folder: str | Path, repo: str, *, private: bool = False) -> str:
    """Check an exported model and push it; a missing repository is created.

    The token is read from ``HF_TOKEN`` or ``hf auth login``.

    Args:
        folder: of `mirnagraph export`.
        repo: ``owner/name``.
        private: whether a repository created here is private.

    Returns:
        Address of the page.

    Raises:
        CheckpointError: not an exported model, or a damaged one.
        ConfigError: a malformed `repo`, or no token.
        FetchError: the hub refused, or there is no network.
        MissingExtraError: huggingface_hub is not installed.
    """
    folder = Path(folder)
    address = HubAddress(repo)
    files = check_folder(folder)["files"]
    hub = import_extra("huggingface_hub", "hub", "pushing a model")
    if hub.get_token() is None:
        raise ConfigError(
            "no token for the Hugging Face hub: set HF_TOKEN to one that may write, or run "
            "`hf auth login`"
        )
    with _explained(address):
        api = hub.HfApi(library_name="mirnagraph")
        url = api.create_repo(address.repo, repo_type="model", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo,
            repo_type="model",
            folder_path=str(folder),
            allow_patterns=[*files, EXPORT, CARD],
            delete_patterns=REPLACED,
            commit_message="Model exported by mirnagraph",
        )
    return str(url)


def pull(
    repo: str, folder: str | Path, *, revision: str | None = None, overwrite: bool = False
) -> Path:
    """Download and check a model: the files that its ``export.json`` lists, and its card.

    Args:
        repo: ``owner/name``.
        folder: output folder.
        revision: branch, tag or commit; None for the newest.
        overwrite: replace an exported model in `folder`.

    Returns:
        The output folder.

    Raises:
        FetchError: no network, no such repository, or no right to read it.
        CheckpointError: the repository holds no exported model, or a damaged one.
        InputError: `folder` is not empty.
        MissingExtraError: huggingface_hub is not installed.
    """
    folder = Path(folder)
    address = HubAddress(repo, revision)
    check_target(folder, overwrite=overwrite)
    hub = import_extra("huggingface_hub", "hub", "pulling a model")
    with write_folder(folder, overwrite=overwrite, content=MODEL) as out:
        with _explained(address):
            listed = hub.hf_hub_download(
                address.repo, EXPORT, revision=revision, library_name="mirnagraph"
            )
        copy_file(listed, out / EXPORT)
        names = [*read_export(out)["files"], CARD]
        with _explained(address):
            snapshot = hub.snapshot_download(
                address.repo, revision=revision, allow_patterns=names, library_name="mirnagraph"
            )
        for name in names:
            source = Path(snapshot) / name
            if source.is_file():  # a link into the hub's cache, copied as a plain file
                copy_file(source, out / name)
        check_folder(out)
    return folder


@contextlib.contextmanager
def _explained(address: HubAddress) -> Iterator[None]:
    """Turn an error of the hub into a FetchError with a hint."""
    try:
        yield
    except (MirnagraphError, TypeError, AttributeError, NameError):
        raise
    except Exception as error:
        what, hint = _reason(error, address)
        reason = str(error) or type(error).__name__
        raise FetchError(
            what, file=address.repo, found=reason.splitlines()[0], hint=hint
        ) from error


def _reason(error: Exception, address: HubAddress) -> tuple[str, str]:
    """What went wrong and what to do, by the class names, which are stable between hub versions."""
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    if "GatedRepoError" in names or status in (401, 403):
        return (
            "the Hugging Face hub refused",
            "is the token set (HF_TOKEN or `hf auth login`), and may it do this?",
        )
    if "RevisionNotFoundError" in names:
        return (
            f"no revision {address.revision!r} on the Hugging Face hub",
            "name a branch, a tag or a commit",
        )
    if "RepositoryNotFoundError" in names:
        return (
            "no such model on the Hugging Face hub",
            "a private one needs a token: HF_TOKEN or `hf auth login`",
        )
    is_missing = "EntryNotFoundError" in names and "LocalEntryNotFoundError" not in names
    if is_missing or "RemoteEntryNotFoundError" in names:
        return (
            f"no exported model in the repository (no {EXPORT})",
            "models are pushed by `mirnagraph export RUN --push OWNER/NAME`",
        )
    return (
        "the Hugging Face hub could not be reached, or did not answer as expected",
        "is there a network? HF_HUB_OFFLINE must not be set",
    )
