"""Fetching against a local HTTP server that serves good, truncated, altered, slow and missing
files, with and without ranges.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirnagraph import catalog
from mirnagraph.catalog import ByHand, CatalogEntry, CatalogFile
from mirnagraph.errors import ConfigError, FetchError, InputError
from mirnagraph.published import conversions as published
from mirnagraph.recipes.recipe import read_recipe, shipped

BODY = b"".join(b"line %d of a made-up table\n" % n for n in range(20000))
CUT = 100_000


class Server(http.server.ThreadingHTTPServer):
    """Counts requests; the first part of the address selects its behaviour."""

    n_asked: int
    ranges: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that did not wait
            super().handle()

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.n_asked += 1
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        kind = self.path.split("/")[1]
        if kind in ("missing", "broken"):
            self.send_error(404 if kind == "missing" else 503)
            return
        body = BODY[::-1] if kind == "altered" else BODY
        if kind == "packed":
            body = gzip.compress(b"MI1\thsa-mir-1\nMI2\tmmu-mir-2\n")
        start = int(asked[len("bytes=") : -1]) if asked and kind in ("ranged", "stalls") else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if kind != "nolength":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        is_cut = kind in ("cut", "nolength") or (kind in ("ranged", "stalls") and not start)
        self.wfile.write(body[start : CUT if is_cut else None])
        if kind == "stalls" and is_cut:
            self.wfile.flush()
            time.sleep(1.0)  # longer than the client waits

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server(("127.0.0.1", 0), Handler)
    made.n_asked = 0
    made.ranges = []
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
    """Names of the files, without the parts that are kept to go on from."""
    paths = [path for path in folder.rglob("*") if ".downloads" not in path.parts]
    return sorted(path.name for path in paths if path.is_file())


def kept(folder: Path) -> bytes:
    """What was kept of an interrupted download."""
    paths = [path for path in (folder / "made-up/.downloads").iterdir() if not path.suffix]
    assert len(paths) == 1
    content = paths[0].read_bytes()
    assert BODY.startswith(content)
    assert catalog.CHUNK <= len(content) <= CUT
    return content


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
def test_truncated_download_is_an_error_and_leaves_no_file(
    server: Server, tmp_path: Path, kind: str
) -> None:
    with pytest.raises(
        FetchError,
        match=rf"was interrupted \(truncated\); found \d+ bytes, expected {len(BODY)} bytes",
    ):
        catalog.fetch(one(kind), tmp_path, base_url=base(server))
    assert files_in(tmp_path) == []
    kept(tmp_path)


@pytest.mark.parametrize("kind", ["ranged", "stalls"])
def test_an_interrupted_download_goes_on_from_there(
    server: Server, tmp_path: Path, kind: str
) -> None:
    what = "was interrupted" if kind == "ranged" else "does not respond"
    with pytest.raises(FetchError, match=what):
        catalog.fetch(one(kind), tmp_path, base_url=base(server), timeout=0.3)
    n_kept = len(kept(tmp_path))
    folder = catalog.fetch(one(kind), tmp_path, base_url=base(server))
    assert server.ranges == [None, f"bytes={n_kept}-"]
    assert (folder / "sub/table.tsv").read_bytes() == BODY
    assert not (folder / ".downloads").exists()


def test_a_part_of_another_version_is_fetched_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="was interrupted"):
        catalog.fetch(one("ranged"), tmp_path, base_url=base(server))
    (part,) = (tmp_path / "made-up/.downloads").iterdir()
    part.write_bytes(b"x" * len(BODY))  # the server answers 416: nothing follows
    with pytest.raises(FetchError, match="was interrupted"):  # "ranged" cuts what has no range
        catalog.fetch(one("ranged"), tmp_path, base_url=base(server))
    part.write_bytes(b"x" * CUT)
    with pytest.raises(FetchError, match="was interrupted"):
        catalog.fetch(one("ranged"), tmp_path, base_url=base(server))
    assert server.ranges[-2:] == [f"bytes={CUT}-", None]
    folder = catalog.fetch(one("ranged"), tmp_path, base_url=base(server))
    assert (folder / "sub/table.tsv").read_bytes() == BODY


def test_a_server_without_ranges_sends_the_whole_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="was interrupted"):
        catalog.fetch(one("cut"), tmp_path, base_url=base(server))
    (part,) = (tmp_path / "made-up/.downloads").iterdir()
    n_kept = part.stat().st_size
    good = hashlib.sha256(f"{base(server)}/good/table.tsv".encode()).hexdigest()[:16]
    part.rename(part.with_name(good))
    folder = catalog.fetch(one("good"), tmp_path, base_url=base(server))
    assert server.ranges == [None, f"bytes={n_kept}-"]
    assert (folder / "sub/table.tsv").read_bytes() == BODY


def test_altered_file_is_refused_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        FetchError,
        match=r"does not have the pinned hash \(altered\); found sha256 .*, expected sha256 ",
    ) as caught:
        catalog.fetch(one("altered"), tmp_path, base_url=base(server))
    assert caught.value.exit_code == 3
    assert server.n_asked == 1
    assert files_in(tmp_path) == []
    assert list((tmp_path / "made-up/.downloads").iterdir()) == []


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
    def full(*_args: object, **_kwargs: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(
        FetchError, match=r"table.tsv: could not be written: No space left on device"
    ):
        catalog.fetch(one("good"), tmp_path, base_url=base(server))
    assert not (tmp_path / "made-up/sub/table.tsv").exists()


def test_a_converted_file_is_checked_after_the_conversion(server: Server, tmp_path: Path) -> None:
    text = published.numbered_records(BODY.decode().replace(" of a", ";of a"))
    assert text.splitlines()[:2] == ["record0\tmir\tdisease", "0\tline 0\tof a made-up table"]
    expected = published.human_lines(BODY.decode())
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
        published.human_lines("MI1\thsa-mir-1\nMI2\tmmu-mir-2\r\nMI3\tx;hsa-let-7\r\n")
        == "MI1\thsa-mir-1\nMI3\tx;hsa-let-7\n"
    )
    mesh = (
        "Tree Number\tDesc Ui\tTerm\nA01\tD1\tBody\nC01\tD2\tInfections\nF03.1\tD3\tMood\n"
        "F02\tD4\tOther\n"
    )
    assert (
        published.disease_branches(mesh)
        == "tree_number\tdescriptor_ui\tterm\nC01\tD2\tInfections\nF03.1\tD3\tMood\n"
    )


def test_catalog_is_sound() -> None:
    names = [entry.name for entry in catalog.entries()]
    assert len(names) == len(set(names))
    assert catalog.entry("mirna1041").loadable
    for entry in catalog.entries():
        assert entry.licence
        assert entry.note
        assert entry.recipe in ("", *shipped())
        paths = [file.path for file in (*entry.files, *entry.by_hand)]
        assert paths
        assert len(paths) == len(set(paths))
        for path in paths:
            assert not path.startswith("/")
            assert ".." not in path
        for file in entry.by_hand:
            assert len(file.sha256) == 64
            assert file.why
            assert file.where
        for file in entry.files:
            assert len(file.sha256) == 64
            assert file.convert in ("", *catalog.CONVERSIONS)
            for url in (file.url, *file.more):
                assert len(url.split("/")[2]) in (12, 40)  # owner, repository, commit


def test_every_file_of_a_recipe_is_fetched_or_named() -> None:
    """What the shipped recipe of a dataset reads is in the catalog, apart from optional parts."""
    for entry in catalog.entries():
        if not entry.recipe:
            continue
        recipe = read_recipe(entry.recipe)
        parts = [recipe.rnas.file, recipe.rnas.sequences, recipe.rnas.families]
        parts += [recipe.labels.file] if recipe.labels else []
        parts += [recipe.mesh.file] if recipe.mesh and entry.name != "circloc" else []
        for part in recipe.associations:
            if not part.optional:
                parts += [part.file, part.types, part.partners.file, part.partners.matrix]
        listed = {file.path for file in (*entry.files, *entry.by_hand)}
        assert set(filter(None, parts)) <= listed, entry.name


def test_two_downloads_become_one_gzip_file_pinned_by_its_content(
    server: Server, tmp_path: Path
) -> None:
    cyto = "ensembl_transcript_id\tname\tcdna\nENST1\tA\tACG\n"
    nuc = "ensembl_transcript_id\tname\tcdna\nENST2\tB\tTTT\nENST3\tC\tGG\n"
    fasta = ">ENST1 A\nACG\n>ENST2 B\nTTT\n>ENST3 C\nGG\n"
    assert published.rnalight_fasta(cyto, nuc) == fasta
    assert published.rnalight_labels(cyto, nuc) == (
        "ensembl_transcript_id\tname\tclass\nENST1\tA\tcytoplasmic\nENST2\tB\tnuclear\n"
        "ENST3\tC\tnuclear\n"
    )
    lines = BODY.decode().splitlines()[1:]
    rows = [[line.split("\t")[0], *line.split("\t")[1:]] for line in lines]
    assert len(rows[0]) == 1  # not RNAlight's layout, which is an altered file, no traceback
    changes = {"path": "x.fa.gz", "convert": "rnalight_fasta", "more": ("good/second.tsv",)}
    with pytest.raises(FetchError, match="altered"):
        catalog.fetch(one("good", **changes), tmp_path, base_url=base(server))
    assert server.n_asked == 2
    folder = catalog.fetch(one("good", path="table.txt.gz"), tmp_path, base_url=base(server))
    assert gzip.decompress((folder / "table.txt.gz").read_bytes()) == BODY
    catalog.fetch(one("good", path="table.txt.gz"), tmp_path, base_url=base(server))
    assert server.n_asked == 3  # complete by the hash of its content


def test_what_cannot_be_fetched_is_named_with_where_it_is(tmp_path: Path) -> None:
    hand = (ByHand("a/x.tsv", "0" * 64, "no licence", "https://example.org"),)
    with pytest.raises(
        ConfigError,
        match=r"'made-up' cannot be fetched; put into \$MIRNAGRAPH_DATA: "
        r"a/x.tsv \(no licence\): https://example.org",
    ):
        catalog.fetch(CatalogEntry("made-up", (), "none", "none", by_hand=hand), tmp_path)
    everything = len(catalog.entry("circloc").by_hand)
    assert len(catalog.missing_by_hand("circloc", [tmp_path])) == everything == 8
    (tmp_path / "circloc").mkdir()
    (tmp_path / "circloc/localization_1486.tsv").write_text("x", encoding="utf-8")
    assert len(catalog.missing_by_hand("circloc", [tmp_path])) == 7
    labels = tmp_path / "circloc/localization_1486.tsv"
    assert catalog.altered_by_hand("circloc", [tmp_path / "nowhere", tmp_path]) == [labels]


def test_unknown_name() -> None:
    with pytest.raises(
        ConfigError, match="no public dataset is called 'mirna1042'; known: mirna1041"
    ):
        catalog.fetch("mirna1042")


def test_a_file_that_lies_elsewhere_is_not_fetched(server: Server, tmp_path: Path) -> None:
    """By its hash or that of another form; a wrong one is fetched."""
    place = tmp_path / "data"
    (place / "sub").mkdir(parents=True)
    (place / "sub/table.tsv").write_bytes(b"another form")
    other = hashlib.sha256(b"another form").hexdigest()
    entry = one("good", also=(other,))
    catalog.fetch(entry, tmp_path / "cache", base_url=base(server), folders=[place])
    assert server.n_asked == 0
    assert files_in(tmp_path / "cache") == []
    catalog.fetch(one("good"), tmp_path / "cache", base_url=base(server), folders=[place])
    assert server.n_asked == 1
    assert files_in(tmp_path / "cache") == ["table.tsv"]


def test_a_wrong_file_does_not_stop_the_others(server: Server, tmp_path: Path) -> None:
    files = [one(kind, path=f"{kind}.tsv").files[0] for kind in ("altered", "missing", "good")]
    entry = CatalogEntry("made-up", tuple(files), "none", "made up")
    with pytest.raises(
        InputError, match=r"altered\.tsv: .*altered.*\n.*missing/table.tsv was not"
    ) as e:
        catalog.fetch(entry, tmp_path, base_url=base(server))
    assert e.value.exit_code == 3
    assert files_in(tmp_path) == ["good.tsv"]
    changed = one("altered", where="the archive")
    with pytest.raises(FetchError, match="get it by hand: the archive"):
        catalog.fetch(changed, tmp_path / "second", base_url=base(server))


def test_a_packed_download_is_unpacked_before_its_conversion(
    server: Server, tmp_path: Path
) -> None:
    expected = "MI1\thsa-mir-1\n"
    digest = hashlib.sha256(expected.encode()).hexdigest()
    entry = one("packed", convert="human_lines", sha256=digest, bytes=0)
    folder = catalog.fetch(entry, tmp_path, base_url=base(server))
    assert (folder / "sub/table.tsv").read_text(encoding="utf-8") == expected
