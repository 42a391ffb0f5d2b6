"""Kept machine code does not outlive the sources it was made from."""

from __future__ import annotations

from pathlib import Path

from seqtower.cpu.compiled import forget_other_sources


def test_kept_code_goes_when_any_source_changes(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("a = 1\n")
    (tmp_path / "kernel.py").write_text("from helper import a\n")
    (tmp_path / "__pycache__").mkdir()
    kept = [tmp_path / "__pycache__" / name for name in ("kernel.f-1.nbi", "kernel.f-1.nbc")]

    def left(change: str | None = None) -> list[bool]:
        if change is not None:
            (tmp_path / "helper.py").write_text(change)
        for path in kept:
            path.write_bytes(b"code")
        forget_other_sources(tmp_path)
        return [path.exists() for path in kept]

    assert left() == [False, False], "made from no one knows what"
    assert left() == [True, True]
    assert left("a = 2\n") == [False, False]
    assert left() == [True, True]
    assert left("a = 1\n") == [False, False], "an older source is another one too"


def test_sources_that_cannot_be_written_beside_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("a = 1\n")
    (tmp_path / "__pycache__").write_text("a file in the way")
    forget_other_sources(tmp_path)
    assert (tmp_path / "__pycache__").read_text() == "a file in the way"
