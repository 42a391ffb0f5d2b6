"""Models pushed to and pulled from a Hugging Face hub that a folder stands in for,
and the sentences where something is missing.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mirnagraph
from fusion.export.files import CARD, EXPORT
from fusion.export.hub import HubAddress, hub_address, pull
from fusion.export.load import load
from mirnagraph.errors import CheckpointError, ConfigError, FetchError, MissingExtraError


class RepositoryNotFoundError(OSError):
    """Named as the hub's own."""


class FakeHub:
    """What of huggingface_hub is used: repositories are folders,
    and a snapshot is a folder of links, as in the hub's own cache.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.token, self.made, self.fails = place, "hf_of_nobody", [], None  # type: ignore[var-annotated]

    def get_token(self) -> str | None:
        return self.token

    def HfApi(self, *, library_name: str) -> FakeHub:
        return self

    def create_repo(self, repo_id: str, **more: Any) -> str:
        self._same_call("HfApi.create_repo", repo_id, **more)
        self._fail()
        (self.place / repo_id).mkdir(parents=True, exist_ok=True)
        (self.place / repo_id / ".gitattributes").write_text("")
        self.made.append((repo_id, more["private"]))
        return f"https://example.org/{repo_id}"

    def upload_folder(self, **more: Any) -> None:
        self._same_call("HfApi.upload_folder", **more)
        target, source = self.place / more["repo_id"], Path(more["folder_path"])
        for path in [
            p
            for p in target.rglob("*")
            if p.is_file()
            and any(fnmatch(p.relative_to(target).as_posix(), x) for x in more["delete_patterns"])
        ]:
            path.unlink()
        for path in source.rglob("*"):
            name = path.relative_to(source).as_posix()
            if path.is_file() and name in more["allow_patterns"]:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / name)

    def hf_hub_download(self, repo_id: str, filename: str, **more: Any) -> str:
        self._same_call("hf_hub_download", repo_id, filename, **more)
        return str(Path(self._snapshot(repo_id, [filename])) / filename)

    def snapshot_download(self, repo_id: str, **more: Any) -> str:
        self._same_call("snapshot_download", repo_id, **more)
        return self._snapshot(repo_id, more["allow_patterns"])

    def _snapshot(self, repo_id: str, names: list[str]) -> str:
        self._fail()
        source, target = self.place / repo_id, self.place / "cache" / repo_id
        if not source.is_dir():
            raise RepositoryNotFoundError("404 Client Error")
        shutil.rmtree(target, ignore_errors=True)
        for path in [
            p
            for p in source.rglob("*")
            if p.is_file() and p.relative_to(source).as_posix() in names
        ]:
            link = target / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        return str(target)

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails

    @staticmethod
    def _same_call(name: str, *args: Any, **more: Any) -> None:
        """The real function takes these arguments, where it is installed."""
        if REAL is not None:
            function = REAL
            for part in name.split("."):
                function = getattr(function, part)
            inspect.signature(function).bind(*(["self"] if "." in name else []), *args, **more)


try:
    import huggingface_hub as REAL
except ImportError:
    REAL = None


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    found = FakeHub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", found)  # type: ignore[arg-type]
    return found


@pytest.fixture
def kept(project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(project / "tests" / "golden" / "model_v3", tmp_path / "model"))


def test_there_and_back(run, hub: FakeHub, kept: Path) -> None:
    ended = run("export", "model", "--push", "me/mine", "--private")
    assert ended.returncode == 0, ended.stderr
    assert "Pushed to https://example.org/me/mine" in ended.stderr
    assert hub.made == [("me/mine", True)]
    (hub.place / "me" / "mine" / "LICENSE.txt").write_text("beside the model, and not brought")
    ended = run("pull", "me/mine", "back")
    assert ended.returncode == 0, ended.stderr
    back = Path("back")
    assert {p.relative_to(back): p.read_bytes() for p in back.rglob("*") if p.is_file()} == {
        p.relative_to(kept): p.read_bytes() for p in kept.rglob("*") if p.is_file()
    }
    assert not any(p.is_symlink() for p in back.rglob("*"))
    model = mirnagraph.load("hf://me/mine@main")
    assert model.compartments == load(kept).compartments
    assert model.cold_start is not None
    (back.parent / "new.fa").write_text(">mine\nACGUACGUACGU\n")
    assert "mine\t" in run("predict", "--run", "hf://me/mine", "--fasta", "new.fa").stdout
    again = run("pull", "me/mine", "back")
    assert (again.returncode, "exists and is not empty" in again.stderr) == (3, True)
    assert run("pull", "me/mine", "back", "--overwrite").returncode == 0


def test_a_model_pushed_over_another_leaves_nothing_of_it(
    run, hub: FakeHub, kept: Path, project: Path
) -> None:
    assert run("export", "model", "--push", "me/mine").returncode == 0
    assert hub.made == [("me/mine", False)]
    shutil.copytree(project / "tests" / "golden" / "tower_v1", "tower")
    assert run("export", "tower", "--push", "me/mine").returncode == 0
    assert sorted(p.name for p in (hub.place / "me" / "mine").rglob("*") if p.is_file()) == [
        ".gitattributes",
        CARD,
        EXPORT,
        "model.json",
        "model.safetensors",
    ]
    assert load("hf://me/mine").compartments == load("tower").compartments


def test_what_is_on_the_hub_is_checked_as_any_other(run, hub: FakeHub, kept: Path) -> None:
    assert run("export", "model", "--push", "me/mine").returncode == 0
    there = hub.place / "me" / "mine"
    raw = (there / "known.safetensors").read_bytes()
    (there / "known.safetensors").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="is not the one that"):
        load("hf://me/mine")
    (there / "known.safetensors").unlink()
    ended = run("pull", "me/mine", "back")
    assert (
        ended.returncode,
        "known.safetensors: a file that export.json lists is missing" in ended.stderr,
    ) == (3, True)
    assert not Path("back").exists()


def test_a_damaged_model_is_not_pushed(run, hub: FakeHub, kept: Path) -> None:
    (kept / "more.json").write_text("{}")
    ended = run("export", "model", "--push", "me/mine")
    assert (ended.returncode, "export.json does not list" in ended.stderr) == (3, True)
    assert hub.made == []


def test_what_is_missing_is_said(
    run, hub: FakeHub, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run("pull", "me/nothing", "back")
    assert (
        ended.returncode,
        "me/nothing: no such model on the Hugging Face hub; found 404 Client Error" in ended.stderr,
    ) == (3, True), ended.stderr
    hub.fails = ConnectionError("Name or service not known")
    for words in (("pull", "me/mine", "back"), ("export", "model", "--push", "me/mine")):
        ended = run(*words)
        assert (ended.returncode, "the Hugging Face hub could not be reached" in ended.stderr) == (
            3,
            True,
        ), ended.stderr
    refused = OSError("403 Forbidden")
    refused.response = SimpleNamespace(status_code=403)  # type: ignore[attr-defined]
    hub.fails = refused
    ended = run("export", "model", "--push", "me/mine")
    assert "the Hugging Face hub refused; found 403 Forbidden; is the token set" in ended.stderr
    hub.token = None
    ended = run("export", "model", "--push", "me/mine")
    assert (
        ended.returncode,
        "no token for the Hugging Face hub: set HF_TOKEN" in ended.stderr,
    ) == (2, True)
    for words in (
        ("export", "model", "other", "--push", "me/mine"),
        ("export", "model", "--push", "me/mine", "--license", "mit"),
    ):
        ended = run(*words)
        assert (ended.returncode, "is an exported model already" in ended.stderr) == (2, True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    ended = run("pull", "me/mine", "back")
    assert (ended.returncode, "pip install 'mirnagraph[hub]'" in ended.stderr) == (2, True)
    with pytest.raises(MissingExtraError):
        load("hf://me/mine")
    assert not Path("back").exists()


def test_the_real_package_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(real.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(real.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FetchError, match="me/mine: the Hugging Face hub could not be reached"):
        pull("me/mine", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_addresses() -> None:
    assert hub_address("runs/mine") is None
    assert hub_address("hf://me/mine") == HubAddress("me/mine")
    assert hub_address(Path("hf://me/my.model_1-2@v1.0/x")) == HubAddress(
        "me/my.model_1-2", "v1.0/x"
    )
    for wrong in (
        "hf://",
        "hf://mine",
        "hf://me/mine/more",
        "hf://me/..",
        "hf:///me/mine",
        "hf://me/mi ne",
    ):
        with pytest.raises(ConfigError, match="no repository of the Hugging Face hub"):
            hub_address(wrong)
