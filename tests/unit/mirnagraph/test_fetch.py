"""Fetching against a local HTTP server that serves good, truncated, altered and missing files."""

from __future__ import annotations

import errno
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirnagraph import catalog
from mirnagraph.catalog import CatalogEntry, CatalogFile
from mirnagraph.errors import ConfigError, FetchError

BODY = b"".join(b"line %d of a made-up table\n" % n for n in range(20000))
CUT = 100_000


class Server(http.server.ThreadingHTTPServer):
    """Counts requests; the first part of the address selects its behaviour."""

    n_asked: int


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.n_asked += 1
        kind = self.path.split("/")[1]
        if kind in ("missing", "broken"):
            self.send_error(404 if kind == "missing" else 503)
            return
        body = BODY[::-1] if kind == "altered" else BODY
        self.send_response(200)
        if kind != "nolength":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:CUT] if kind in ("cut", "nolength") else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server(("127.0.0.1", 0), Handler)
    made.n_asked = 0
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def base(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def one(kind: str, **changes: object) -> CatalogEntry:
    values: dict[str, object] = {
        "path": "sub/table.tsv",
        "url": f"{kind}/table.tsv",
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "bytes": len(BODY),
    }
    return CatalogEntry("made-up", (CatalogFile(**(values | changes)),), "none", "made up")  # type: ignore[arg-type]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_good_file_arrives_whole_with_progress(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    folder = catalog.fetch(one("good"), tmp_path, lambda *step: steps.append(step), base(server))
    assert folder == tmp_path / "made-up"
    assert (folder / "sub/table.tsv").read_bytes() == BODY
    assert files_in(tmp_path) == ["table.tsv"]
    assert steps[-1] == ("table.tsv", len(BODY), len(BODY))
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


def test_a_whole_file_is_not_fetched_again_and_a_damaged_one_is(
    server: Server, tmp_path: Path
) -> None:
    folder = catalog.fetch(one("good"), tmp_path, base_url=base(server))
    catalog.fetch(one("good"), tmp_path, base_url=base(server))
    assert server.n_asked == 1
    (folder / "sub/table.tsv").write_bytes(BODY[:50])
    catalog.fetch(one("good"), tmp_path, base_url=base(server))
    assert server.n_asked == 2
    assert (folder / "sub/table.tsv").read_bytes() == BODY


@pytest.mark.parametrize("kind", ["cut", "nolength"])
def test_truncated_download_is_an_error_and_leaves_nothing(
    server: Server, tmp_path: Path, kind: str
) -> None:
    with pytest.raises(
        FetchError,
        match=rf"was interrupted \(truncated\); found \d+ bytes, expected {len(BODY)} bytes",
    ):
        catalog.fetch(one(kind), tmp_path, base_url=base(server))
    assert files_in(tmp_path) == []


def test_altered_file_is_refused_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        FetchError,
        match=r"does not have the pinned hash \(altered\); found .*, expected sha256 [0-9a-f]{64}",
    ) as caught:
        catalog.fetch(one("altered"), tmp_path, base_url=base(server))
    assert caught.value.exit_code == 3
    assert server.n_asked == 1
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [("missing", "404", "was not found"), ("broken", "503", "could not be fetched")],
)
def test_missing_file_and_failing_server(
    server: Server, tmp_path: Path, kind: str, status: str, text: str
) -> None:
    with pytest.raises(FetchError, match=rf"{kind}/table.tsv {text}; found HTTP status {status}"):
        catalog.fetch(one(kind), tmp_path, base_url=base(server))
    assert files_in(tmp_path) == []


def test_no_server_at_all(server: Server, tmp_path: Path) -> None:
    address = base(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match=r"could not reach http://127.0.0.1:.*no network"):
        catalog.fetch(one("good"), tmp_path, base_url=address, timeout=2)


def test_full_disk_is_one_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        FetchError, match=r"table.tsv: could not be written: No space left on device"
    ):
        catalog.fetch(one("good"), tmp_path, base_url=base(server))
    assert not (tmp_path / "made-up/sub/table.tsv").exists()


def test_a_converted_file_is_checked_after_the_conversion(server: Server, tmp_path: Path) -> None:
    text = catalog.numbered_records(BODY.decode().replace(" of a", ";of a"))
    assert text.splitlines()[:2] == ["record0\tmir\tdisease", "0\tline 0\tof a made-up table"]
    expected = catalog.human_lines(BODY.decode())
    assert expected == ""
    folder = catalog.fetch(
        one("good", convert="human_lines", sha256=hashlib.sha256(b"").hexdigest()),
        tmp_path,
        base_url=base(server),
    )
    assert (folder / "sub/table.tsv").read_bytes() == b""
    with pytest.raises(FetchError, match="altered"):
        catalog.fetch(
            one("good", convert="disease_branches"), tmp_path / "second", base_url=base(server)
        )


def test_conversions_by_hand() -> None:
    assert (
        catalog.human_lines("MI1\thsa-mir-1\nMI2\tmmu-mir-2\r\nMI3\tx;hsa-let-7\r\n")
        == "MI1\thsa-mir-1\nMI3\tx;hsa-let-7\n"
    )
    mesh = (
        "Tree Number\tDesc Ui\tTerm\nA01\tD1\tBody\nC01\tD2\tInfections\nF03.1\tD3\tMood\n"
        "F02\tD4\tOther\n"
    )
    assert (
        catalog.disease_branches(mesh)
        == "tree_number\tdescriptor_ui\tterm\nC01\tD2\tInfections\nF03.1\tD3\tMood\n"
    )


def test_catalog_is_sound() -> None:
    names = [entry.name for entry in catalog.entries()]
    assert len(names) == len(set(names))
    assert catalog.entry("mirna1041").loadable
    for entry in catalog.entries():
        assert entry.licence
        assert entry.note
        paths = [file.path for file in entry.files]
        assert len(paths) == len(set(paths))
        for file in entry.files:
            assert not file.path.startswith("/")
            assert ".." not in file.path
            assert len(file.sha256) == 64
            assert file.convert in ("", *catalog.CONVERSIONS)
            if entry.unfetchable:
                assert file.url == ""
                continue
            assert len(file.url.split("/")[2]) in (12, 40)  # owner, repository, commit


def test_unknown_name() -> None:
    with pytest.raises(
        ConfigError, match="no public dataset is called 'mirna1042'; known: mirna1041"
    ):
        catalog.fetch("mirna1042")
