"""Outputs that are not ours, no plain files, inputs, or on disks that refuse: each kind of what may
not be damaged, by mechanism.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contents import contents, hidden, write_header


def is_gone(group: int) -> bool:
    """Whether no process of a group is left, some time after its first has ended."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


PREDICT = ("predict", "--run", "run", "--rna", "syn-mir-0001", "-q")


# One writer: what is not ours


@pytest.mark.parametrize(
    "words",
    [
        ("build-networks", "--data", "ds", "--workers", "1", "-q"),
        ("explain", "--run", "run", "--rna", "syn-mir-0001", "--networks", "nets", "-q"),
        ("train", "--networks", "nets", "--fold", "2", "--no-baselines", "-q"),
        ("tune", "--networks", "nets", "--trials", "1", "-q"),
        ("audit", "--networks", "nets", "-q"),
        ("export", "run"),
        ("build-dataset", "mirna1041"),
        ("seq", "explain", "--run", "run", "--fasta", "mini.fa", "-q"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_the_folder_of_someone_else_is_not_replaced(run, place: Path, words) -> None:
    before = contents(place)
    ended = run(*words, "--out", "thesis", "--overwrite")
    assert ended.returncode == 3, ended.stderr
    assert "thesis: the folder was not written by mirnagraph" in ended.stderr
    assert "chapter1.tex" in ended.stderr
    assert contents(place) == before
    assert hidden(place) == []


FOLDERS = {"ds": "a dataset", "nets": "networks", "run": "a run of train"}


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (("build-networks", "--data", "ds", "-q"), "networks"),
        (("build-dataset", "mirna1041"), "a dataset"),
        (("train", "--networks", "nets", "--fold", "2", "-q"), "a run of train"),
        (("tune", "--networks", "nets", "--trials", "1", "-q"), "a run of tune"),
        (("ablate", "--networks", "nets", "--fold", "2", "-q"), "a run of ablate"),
        (("seq", "train", "--data", "ds", "--fold", "2", "-q"), "a run of seq train"),
        (
            ("seq", "pretrain", "--fasta", "mini.fa", "--objective", "masked", "-q"),
            "a run of seq pretrain",
        ),
        (("audit", "--networks", "nets", "-q"), "an audit"),
        (("export", "run"), "an exported model"),
        (("export", "run", "--networks", "nets", "--graphml"), "graphs for Cytoscape"),
        (("pull", "owner/name"), "an exported model"),
        (("report", "run", "--out", "page.html", "--figures"), "figures of a report"),
        (("explain", "--run", "run", "--rna", "syn-mir-0001", "-q"), "explanations"),
        (("seq", "explain", "--run", "run", "--fasta", "mini.fa"), "explanations of sequences"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_folder_of_another_command_is_not_replaced(run, place: Path, words, content) -> None:
    """Not even with --overwrite, and before any work."""
    words = words if words[-1] in ("--graphml", "--figures") else (*words, "--out")
    is_input = {"--graphml": "run", "--figures": "run"}.get(words[-1])
    for folder, holds in FOLDERS.items():
        if holds == content or folder in (*words, is_input):
            continue
        before = contents(place)
        ended = run(*words, folder, "--overwrite")
        assert ended.returncode == 3, ended.stderr
        assert ended.stderr == (
            f"Error: {folder}: the folder holds {holds}, and is not replaced by {content}; "
            "choose another folder, or remove this one yourself\n"
        )
        assert (contents(place), hidden(place)) == (before, [])


def test_a_run_json_of_another_program_makes_no_run(run, place: Path) -> None:
    (place / "thesis" / "run.json").write_text('{"name": "my pipeline"}')
    before = contents(place)
    ended = run("train", "--networks", "nets", "--fold", "2", "--out", "thesis", "--overwrite")
    assert (ended.returncode, contents(place)) == (3, before)


@pytest.mark.parametrize("out", ["ds", ".", "..", "ds/.."])
def test_an_output_folder_is_no_input_and_not_the_current_folder(run, place: Path, out) -> None:
    before = contents(place)
    ended = run("build-networks", "--data", "ds", "--out", out, "--overwrite", "-q")
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert (contents(place), hidden(place)) == (before, [])


def test_train_into_the_current_folder_is_refused(run, place: Path, quick) -> None:
    (place / "r").mkdir()
    os.chdir(place / "r")
    ended = run("train", "--networks", "../nets", "--fold", "2", "--out", ".", "-q")
    assert (ended.returncode, list((place / "r").iterdir())) == (3, [])
    assert "the current folder" in ended.stderr


def test_notes_in_our_folder_stop_the_command_and_are_named(run, place: Path) -> None:
    out = ("build-networks", "--data", "ds", "--out", "out", "--workers", "1", "-q")
    assert run(*out).returncode == 0
    assert run(*out).returncode == 3
    assert run(*out, "--overwrite", "--graphml").returncode == 0
    assert run(*out, "--overwrite").returncode == 0  # the files of --graphml are ours too
    assert list(Path("out").glob("*.graphml")) == []
    Path("out/notes.txt").write_text("mine")
    Path("out/.DS_Store").write_text("")
    before = contents(place)
    ended = run(*out, "--overwrite")
    assert (ended.returncode, "found notes.txt" in ended.stderr) == (3, True)
    assert contents(place) == before


@pytest.mark.slow
def test_a_run_with_notes_is_not_replaced_with_or_without_its_list(run, place: Path, quick) -> None:
    config = str(quick())
    train = ("train", "--networks", "nets", "--fold", "2", "--no-baselines", "--config", config)
    train = (*train, "--workers", "1", "-q")
    assert run(*train, "--out", "r").returncode == 0
    listed = Path("r/mirnagraph.jsonl")
    for _ in range(2):
        Path("r/notes.txt").write_text("mine")
        ended = run(*train, "--out", "r", "--overwrite")
        assert (ended.returncode, "found notes.txt" in ended.stderr) == (3, True)
        Path("r/notes.txt").unlink()
        assert run(*train, "--out", "r", "--overwrite").returncode == 0
        assert listed.is_file()
        listed.unlink()  # as an earlier version left the run


@pytest.mark.slow
def test_a_link_to_a_run_stays_a_link(run, place: Path, quick) -> None:
    config = str(quick())
    train = ("train", "--networks", "nets", "--fold", "2", "--no-baselines", "--config", config)
    (place / "scratch").mkdir()
    os.symlink("scratch", "r")
    for more in ((), ("--overwrite",)):
        ended = run(*train, "--workers", "1", "-q", "--out", "r", *more)
        assert (ended.returncode, Path("r").is_symlink()) == (0, True), ended.stderr
        assert Path("scratch/report.md").is_file()
    os.symlink("scratch2", "n")
    (place / "scratch2").mkdir()
    assert run("build-networks", "--data", "ds", "--out", "n", "-q").returncode == 0
    assert Path("n").is_symlink()
    assert Path("scratch2/networks.json").is_file()


# One writer: what is no plain file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_are_written_in_place(run, place: Path) -> None:
    for name, minor, code in (("null", 3, 0), ("full", 7, 3)):
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        ended = run(*PREDICT, "--out", name)
        assert ended.returncode == code, ended.stderr
        assert stat.S_ISCHR(os.stat(name).st_mode)
        assert not Path(f"{name}.thresholds.json").exists()
    assert ended.stderr == "Error: full: could not be written: No space left on device\n"


@pytest.mark.parametrize("words", [PREDICT, ("predict", "--run", "run", "--format", "parquet")])
def test_a_fifo_that_someone_reads(run, place: Path, words) -> None:
    os.mkfifo("fifo")
    reader = subprocess.Popen(["cat", "fifo"], stdout=subprocess.PIPE)
    ended = run(*words, "--out", "fifo")
    content = reader.communicate(timeout=60)[0]
    assert (ended.returncode, stat.S_ISFIFO(os.stat("fifo").st_mode)) == (0, True), ended.stderr
    assert content.startswith(b"PAR1" if "parquet" in words else b"query\t")


@pytest.mark.slow
@pytest.mark.parametrize("out", ["/dev/stdout", ">(cat >&2)"])
def test_descriptors_are_written_in_place(place: Path, new_process, out) -> None:
    if out.startswith(">"):
        read, write = os.pipe()
        with os.fdopen(read) as stream:
            process = new_process(*PREDICT, "--out", f"/dev/fd/{write}", pass_fds=(write,))
            os.close(write)
            text = stream.read()
    else:
        process = new_process(*PREDICT, "--out", out)
        text, _ = process.communicate(timeout=120)
    assert process.wait(120) == 0
    assert text.startswith("query\t")
    assert text.count("\n") == 2


@pytest.mark.slow
def test_a_redirected_standard_output_keeps_what_it_holds(place: Path, new_process) -> None:
    with open("log.txt", "w") as log:
        log.write("before\n")
        log.flush()
        assert new_process(*PREDICT, "--out", "/dev/stdout", stdout=log).wait(120) == 0
    lines = Path("log.txt").read_text().splitlines()
    assert (lines[0], lines[1][:6], len(lines)) == ("before", "query\t", 3)


def test_what_a_link_leads_to_gets_the_content(run, place: Path) -> None:
    (place / "real").mkdir()
    Path("real/o.tsv").write_text("old")
    os.symlink("real/o.tsv", "o.tsv")
    os.symlink("real/new.tsv", "dangling.tsv")
    os.symlink("loop", "loop")
    assert run(*PREDICT, "--out", "o.tsv").returncode == 0
    assert run(*PREDICT, "--out", "dangling.tsv").returncode == 0
    assert Path("o.tsv").is_symlink()
    assert Path("real/o.tsv").read_text() == Path("real/new.tsv").read_text() != "old"
    ended = run(*PREDICT, "--out", "loop")
    assert (ended.returncode, ended.stderr.split(";")[0]) == (
        3,
        "Error: loop: could not be written: Too many levels of symbolic links",
    )


# One writer: inputs, disks, modes


@pytest.mark.parametrize("out", ["x.fa", "./x.fa", "link.fa", "hard.fa"])
def test_an_output_that_is_the_input_is_refused(run, place: Path, out) -> None:
    shutil.copyfile("mini.fa", "x.fa")
    os.symlink("x.fa", "link.fa")
    os.link("x.fa", "hard.fa")
    before = contents(place)
    ended = run("predict", "--run", "run", "--fasta", "x.fa", "--out", out)
    assert (ended.returncode, "--out and --fasta x.fa are the same" in ended.stderr) == (3, True)
    assert contents(place) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "f/x"), "f/x: could not be written: Not a directory"),
        (("--out", ""), "--out is empty"),
        (("--out="), "--out is empty"),
        (("--out", "nets"), "nets: the output file is a folder"),
    ],
    ids=["file/x", "empty", "empty=", "folder"],
)
def test_places_that_cannot_be_written(run, place: Path, words, message) -> None:
    Path("f").write_text("")
    words = (words,) if isinstance(words, str) else words
    ended = run("predict", "--run", "run", "--rna", "syn-mir-0001", "-q", *words)
    assert ended.returncode in (2, 3)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_train_into_a_file(run, place: Path) -> None:
    Path("f").write_text("")
    for out, reason in (("f/x", "Not a directory"), ("f", "the output folder is a file")):
        ended = run("train", "--networks", "nets", "--fold", "2", "--out", out, "-q")
        assert (ended.returncode, reason in ended.stderr) == (3, True), ended.stderr


@pytest.mark.slow
def test_every_file_follows_the_umask(run, place: Path, quick) -> None:
    config = str(quick())
    before = os.umask(0o022)
    try:
        for words in (
            ("build-networks", "--data", "ds", "--out", "out", "--graphml"),
            ("train", "--networks", "out", "--fold", "2", "--config", config, "--out", "r"),
            ("predict", "--run", "r", "--rna", "syn-mir-0001", "--out", "o.tsv"),
            ("export", "r", "model"),
            ("explain", "--run", "r", "--networks", "out", "--rna", "syn-mir-0001", "--out", "why"),
        ):
            assert run(*words, "-q").returncode == 0, words
    finally:
        os.umask(before)
    paths = [path for name in ("out", "r", "model", "why") for path in Path(name).rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}
    assert modes == {0o644}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o755}


# One writer: two at once


def test_the_second_command_in_a_folder_says_who_holds_it(run, place: Path, new_process) -> None:
    held = Path("two")
    code = (
        "from mirnagraph.writing.locks import lock; import sys; lock('two'); print(1, flush=True); "
        "sys.stdin.read()"
    )
    root = Path(__file__).resolve().parent.parent.parent
    holder = subprocess.Popen(
        [sys.executable, "-c", code, "train"],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    commands = (
        ("train", "--networks", "nets", "--fold", "2", "-q"),
        ("build-networks", "--data", "ds", "-q"),
    )
    for words in commands:
        ended = run(*words, "--out", "two")
        assert ended.returncode == 3
        assert "two: another command is at work in this folder" in ended.stderr
        assert f"process {holder.pid}" in ended.stderr
    holder.kill()
    holder.wait()
    assert (held / "mirnagraph.lock").is_file()  # stale: the next command takes it over
    assert run(*commands[1], "--out", "two").returncode == 0
    assert hidden(place) == []


@pytest.mark.slow
def test_two_trains_into_one_folder_at_once(place: Path, new_process, quick) -> None:
    words = ("train", "--networks", "nets", "--fold", "2", "--config", str(quick()))
    words = (*words, "--no-baselines", "--workers", "1", "-q", "--out", "r")
    both = [new_process(*words) for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 3], said
    assert "r: another command is at work in this folder" in said[codes.index(3)]
    assert f"process {both[codes.index(0)].pid}" in said[codes.index(3)]
    assert (Path("r/report.md").is_file(), hidden(place)) == (True, [])


@pytest.mark.slow
def test_networks_of_one_edge_and_of_none_can_be_trained_on(run, place: Path, quick) -> None:
    config = str(quick())
    for n_edges in (1, 0):
        for path in (place / "ds").glob("associations.*.tsv"):
            lines = path.read_text(encoding="utf-8").splitlines()
            path.write_text("\n".join(lines[: 1 + n_edges]) + "\n", encoding="utf-8")
        built = run("build-networks", "--data", "ds", "--out", f"n{n_edges}", "-q")
        assert built.returncode == 0, built.stderr
        words = ("--fold", "2", "--config", config, "--no-baselines", "--workers", "1", "-q")
        trained = run("train", "--networks", f"n{n_edges}", *words, "--out", f"r{n_edges}")
        assert trained.returncode == 0, trained.stderr


# One end: signals and streams


def test_an_interrupt_before_the_command_is_loaded_is_quiet(place: Path, terminal_signals) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from cli.start import main\n"
        "main()\n"
    )
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=terminal_signals,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "\nInterrupted. Nothing was left half-written.\n"


@pytest.mark.parametrize(
    ("number", "word"),
    [("SIGINT", "Interrupted"), ("SIGTERM", "Terminated"), ("SIGHUP", "The terminal was closed")],
)
@pytest.mark.slow
def test_a_signal_ends_a_run_with_one_sentence(
    place: Path, new_process, quick, number, word
) -> None:
    config = str(quick(fusion={"epochs": 60}, training={"epochs": 60}))
    process = new_process(
        *("train", "--networks", "nets", "--fold", "10", "--config", config, "--no-baselines"),
        *("--workers", "2", "--out", "r", "-q"),
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(Path("r").glob("folds/fold_*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, getattr(signal, number))  # as a terminal does: workers get it too
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + getattr(signal, number), said
    assert said.strip() == f"{word}. Finished folds are saved; run the same command to resume."
    assert hidden(place) == []
    assert is_gone(process.pid)


def test_a_signal_while_a_folder_is_written_leaves_nothing(place: Path, new_process) -> None:
    code = (
        "import sys, time, mirnagraph.runs.results as r; import cli.main as m; "
        "import mirnagraph.networks.network as n; import cli.data as d; "
        "from pathlib import Path; "
        "save = n.describe; "
        "n.describe = lambda *a: (print(1, flush=True), time.sleep(60), save(*a))[-1]; "
        "sys.exit(m.main())"
    )
    root = Path(__file__).resolve().parent.parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", code, "build-networks", "--data", "ds", "--out", "out", "-q"],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, "\nTerminated. Nothing was left half-written.\n")
    assert (Path("out").exists(), hidden(place)) == (False, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "--run", "run", "-q"),
        ("predict", "--run", "run", "-q", "--format", "json"),
        ("train", "--help"),
    ],
    ids=["tsv", "json", "help"],
)
def test_a_reader_that_is_gone_ends_a_command_quietly(place: Path, new_process, words) -> None:
    read, write = os.pipe()
    os.close(read)
    process = new_process(*words, stdout=write)
    os.close(write)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "Error" not in said
    assert "Broken" not in said


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_one_sentence(place: Path, new_process) -> None:
    with open("/dev/full", "w") as full:
        process = new_process(*PREDICT, stdout=full)
        said = process.communicate(timeout=120)[1]
    assert (process.returncode, said) == (
        3,
        "Error: the standard output could not be written: No space left on device\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("train", "--help"),
        (*PREDICT, "--format", "table"),
        ("explain", "--run", "run", "--networks", "nets", "--rna", "syn-mir-0001"),
    ],
    ids=["help", "train", "table", "explain"],
)
def test_a_terminal_of_ascii_gets_replacements(place: Path, new_process, words) -> None:
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    process = new_process(*words, env=plain)
    text, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert text.isascii()
    assert "\\u" not in text


# Names of strangers


def test_names_that_look_like_markup_are_shown_letter_by_letter(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from cli import common

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    common.show_table(["RNA", "[bold]p"], [["[/red]", "0.5"], ["\x1b[31mx", "1"]], "[/blue]")
    shown = capsys.readouterr().out
    for text in ("[/red]", "[bold]p", "[/blue]", "\\x1b[31mx"):
        assert text in shown


def test_droppings_and_html_in_names_go_through_a_run(run, place: Path, quick) -> None:
    name = "<script>alert(1)</script>"
    for file in ("labels.tsv", "dataset.toml"):
        path = place / "ds" / file
        path.write_text(path.read_text().replace("Nucleolus", name))
    assert run("build-networks", "--data", "ds", "--out", "out", "-q").returncode == 0
    for dropping in (".DS_Store", "Thumbs.db", "desktop.ini", "dataset/.DS_Store"):
        (place / "out" / dropping).write_bytes(b"\0\1")
    words = ("--fold", "2", "--config", str(quick()), "--no-baselines", "--workers", "1", "-q")
    done = run("train", "--networks", "out", *words, "--out", "r")
    assert done.returncode == 0, done.stderr
    assert run("export", "r", "m").returncode == 0
    for text in (place / "r" / "report.md", place / "m" / "README.md"):
        assert "script" in text.read_text()
        assert "<script>" not in text.read_text()
    for dropping in (".DS_Store", "Thumbs.db"):
        (place / "m" / dropping).write_bytes(b"\0\1")
    answered = run("predict", "--run", "m", "syn-mir-0001", "-q")
    assert answered.returncode == 0, answered.stderr
    assert "syn-mir-0001" in answered.stdout


def test_the_name_of_a_dataset_is_no_path(run, place: Path, quick) -> None:
    config = str(quick())
    about = Path("nets/dataset/dataset.toml")
    text = about.read_text()
    line = next(line for line in text.splitlines() if line.startswith("name = "))
    Path("ds/dataset.toml").write_text(text.replace(line, 'name = "../../../escaped"'))
    if run("build-networks", "--data", "ds", "--out", "out", "-q").returncode == 3:
        return  # refused where it is read
    (place / "deep").mkdir()
    os.chdir(place / "deep")
    ended = run(
        *("train", "--networks", "../out", "--fold", "2", "--config", config),
        *("--no-baselines", "--workers", "1", "-q"),
    )
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in (place / "deep").iterdir()] == ["runs"]
    (folder,) = Path("runs").iterdir()
    assert folder.name == "escaped-default-random-2fold-all-seed0"


@pytest.mark.parametrize("value", [None, "x", {}, {"known.tsv": "0"}])
def test_a_model_that_does_not_hash_its_rnas_is_refused(run, place: Path, value) -> None:
    header = place / "run" / "model" / "model.json"
    write_header(header.parent, {**json.loads(header.read_text()), "known_sha256": value})
    ended = run(*PREDICT)
    what = "damaged" if isinstance(value, dict) else "wrong"
    sentence = f"model.json, column 'known_sha256': {what} entry"
    assert (ended.returncode, ended.stdout, sentence in ended.stderr) == (3, "", True)
