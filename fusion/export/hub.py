"""Models on the Hugging Face hub: pushed and pulled through huggingface_hub, which is loaded only when asked for."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fusion.export.files import CARD, EXPORT, check_folder, check_target, read_export
from mirnagraph.errors import ConfigError, FetchError, MirnagraphError, import_extra
from mirnagraph.io import write_folder

# A Path makes one slash of two.
_ADDRESS = re.compile(r"hf:/{1,2}(?P<repo>[^@]*)(@(?P<revision>.+))?")

_REPO = re.compile(r"[\w\-][\w.\-]*/[\w\-][\w.\-]*", re.ASCII)

REPLACED = ["*.json", "*.tsv", "*.safetensors"]
"""Files of an earlier model in the same place that a push takes away; a licence or a picture beside it stays."""


@dataclass(frozen=True)
class HubAddress:
    """Where a model is on the hub.

    Attributes:
        repo: ``owner/name``.
        revision: branch, tag or commit; None for the newest.
    """

    repo: str
    revision: str | None = None

    def __post_init__(self) -> None:
        if not _REPO.fullmatch(self.repo):
            raise ConfigError(
                f"{self.repo!r} is no place on the Hugging Face hub, expected OWNER/NAME"
            )


def hub_address(path: str | os.PathLike[str]) -> HubAddress | None:
    """The address in ``hf://owner/name`` or ``hf://owner/name@revision``; None for a path. ConfigError for a damaged address."""
    found = _ADDRESS.fullmatch(os.fspath(path))
    return None if found is None else HubAddress(found["repo"], found["revision"])


def push(folder: str | Path, repo: str, *, private: bool = False) -> str:
    """Push an exported model, which is checked before; makes the repository where there is none. The token is that of ``HF_TOKEN`` or ``hf auth login``.

    Args:
        repo: ``owner/name``. private: for a repository that is made here.

    Returns:
        Address of the page.

    Raises:
        CheckpointError: not an exported model, or a damaged one. ConfigError: no such place, or no token.
        FetchError: the hub refused, or there is no network. MissingExtraError: huggingface_hub is not installed.
    """
    folder = Path(folder)
    place = HubAddress(repo)
    files = check_folder(folder)["files"]
    hub = import_extra("huggingface_hub", "hub", "pushing a model")
    if hub.get_token() is None:
        raise ConfigError(
            "no token for the Hugging Face hub: set HF_TOKEN to one that may write, or run `hf auth login`"
        )
    with _explained(place):
        api = hub.HfApi(library_name="mirnagraph")
        url = api.create_repo(place.repo, repo_type="model", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=place.repo,
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
    """Bring a model into a folder: the files that its ``export.json`` lists and its card, checked, and nothing else of the repository.

    Args:
        repo: ``owner/name``. revision: branch, tag or commit; None for the newest.
        overwrite: replace an exported model that is there.

    Raises:
        FetchError: no network, no such place, or no right to read it. CheckpointError: it holds no exported model, or a damaged one.
        InputError: the folder holds something. MissingExtraError: huggingface_hub is not installed.
    """
    folder = Path(folder)
    place = HubAddress(repo, revision)
    check_target(folder, overwrite=overwrite)
    hub = import_extra("huggingface_hub", "hub", "pulling a model")
    with write_folder(folder, overwrite=overwrite) as out:
        with _explained(place):
            first = Path(
                hub.hf_hub_download(
                    place.repo, EXPORT, revision=revision, library_name="mirnagraph"
                )
            )
        shutil.copyfile(first, out / EXPORT)
        names = [*read_export(out)["files"], CARD]
        with _explained(place):
            got = Path(
                hub.snapshot_download(
                    place.repo, revision=revision, allow_patterns=names, library_name="mirnagraph"
                )
            )
        for name in names:
            if (
                got / name
            ).is_file():  # a link into the hub's own cache, of which the copy is a plain file
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(got / name, out / name)
        check_folder(out)
    return folder


@contextlib.contextmanager
def _explained(place: HubAddress) -> Iterator[None]:
    """The hub's errors as one sentence of ours; they differ in class between its versions, not in name."""
    try:
        yield
    except (MirnagraphError, TypeError, AttributeError, NameError):
        raise
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", None)
        what = "the Hugging Face hub could not be reached, or did not answer as expected"
        hint = "is there a network? HF_HUB_OFFLINE must not be set"
        if "GatedRepoError" in names or status in (401, 403):
            what = "the Hugging Face hub refused"
            hint = "is the token there (HF_TOKEN or `hf auth login`), and may it do this?"
        elif "RevisionNotFoundError" in names:
            what = f"no revision {place.revision!r} on the Hugging Face hub"
            hint = "name a branch, a tag or a commit"
        elif "RepositoryNotFoundError" in names:
            what = "no such model on the Hugging Face hub"
            hint = "a private one needs a token: HF_TOKEN or `hf auth login`"
        elif "RemoteEntryNotFoundError" in names or (
            "EntryNotFoundError" in names and "LocalEntryNotFoundError" not in names
        ):
            what = f"no exported model there (no {EXPORT})"
            hint = "models are pushed by `mirnagraph export RUN --push OWNER/NAME`"
        raise FetchError(
            what,
            file=place.repo,
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            hint=hint,
        ) from error
