"""Commands of the documentation: blocks of a page, the commands in them, and the outputs shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

TIERS = ("fast", "slow", "real")
"""Marks of a block: seconds, minutes, or the public data of MIRNAGRAPH_DATA."""

FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2[ ]*$", re.MULTILINE | re.DOTALL)

TITLE = re.compile(r'title="([^"]+)"')

FILES = re.compile(r"<!-- files: (\S+) -->")

INLINE = re.compile(r"(?<!`)`(mirnagraph [^`]+)`(?!`)")

TOLERANCE = 0.02
"""Difference of two decimals that are one figure: processors add up in other orders."""

ANY = "…"
"""Any text in a line, or any lines in its place."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: file that it is in.
        line: number of its first line.
        language: first word of its info string.
        marks: the other words.
        title: name of the file that it shows, or empty.
        text: its lines.
    """

    page: Path
    line: int
    language: str
    marks: tuple[str, ...]
    title: str
    text: str

    @property
    def tier(self) -> str:
        """When its commands are run: one of `TIERS`."""
        return next((mark for mark in self.marks if mark in TIERS), "fast")

    @property
    def steps(self) -> list[tuple[str, list[str]]]:
        """The commands after ``$``, each with the lines that are shown below it."""
        found: list[tuple[str, list[str]]] = []
        for line in joined_lines(self.text):
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return found


def blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent, _, info, body = match.groups()
        title = TITLE.search(info)
        words = TITLE.sub("", info).split() or [""]
        lines = [line.removeprefix(indent) for line in body.splitlines()]
        number = text.count("\n", 0, match.start()) + 1
        name = title.group(1) if title else ""
        found.append(Block(page, number, words[0], tuple(words[1:]), name, "\n".join(lines)))
    return found


def joined_lines(text: str) -> list[str]:
    """Lines, with those that end in a backslash joined to the next."""
    return re.sub(r" *\\\n\s*", " ", text).splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """The calls of ``mirnagraph`` in a line of shell, as words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if words[:1] == ["mirnagraph"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def mentioned(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Every call of ``mirnagraph`` on a page, in blocks and in running text, with its line."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language in ("toml", "python", "equation", "json"):
            continue
        for line in joined_lines(block.text):
            plain = line.removeprefix("$ ").strip()
            if "mirnagraph " in plain and not plain.startswith("#"):
                for words in commands(plain):
                    yield block.line, words
    prose = FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    for match in INLINE.finditer(prose):
        line = prose.count("\n", 0, match.start()) + 1
        for words in commands(" ".join(match.group(1).split())):
            yield line, words


def differences(shown: Sequence[str], stdout: str, stderr: str) -> str:
    """Compare the lines below a command with what it wrote; empty where they agree.

    Lines are compared word by word, so that columns may be aligned. A shown line is the next line
    of stderr, if that agrees, else of stdout. Lines of stderr may be left out; lines of stdout
    only where ``…`` stands in their place.
    """
    messages = meaningful(stderr.splitlines())
    rows = meaningful(stdout.splitlines())
    place = 0
    may_skip = False
    for line in meaningful(shown):
        if line.strip() == ANY:
            may_skip = True
            continue
        found = next((n for n, message in enumerate(messages) if agree(line, message)), None)
        if found is not None:
            messages = messages[found + 1 :]
            continue
        ahead = rows[place:] if may_skip else rows[place : place + 1]
        step = next((n for n, row in enumerate(ahead) if agree(line, row)), None)
        if step is None:
            following = "\n".join([*rows[place : place + 5], *messages[:5]])
            return f"shown, but not written:\n{line}\nwritten there:\n{following}"
        place += step + 1
        may_skip = False
    if place < len(rows) and not may_skip:
        return f"written, but not shown:\n{rows[place]}"
    return ""


def meaningful(lines: Sequence[str]) -> list[str]:
    """Lines with text."""
    return [line for line in lines if line.strip()]


def agree(shown: str, written: str) -> bool:
    """Whether a shown line is a written one, up to blanks, ``…`` and the last digits."""
    parts = [part.split() for part in shown.split(ANY)]
    words = written.split()
    if len(parts) == 1:
        return len(parts[0]) == len(words) and starts(words, parts[0])
    first, *middle, last = parts
    if not starts(words, first):
        return False
    words = words[len(first) :]
    for part in middle:
        at = next((n for n in range(len(words) + 1) if starts(words[n:], part)), None)
        if at is None:
            return False
        words = words[at + len(part) :]
    return len(last) <= len(words) and (not last or starts(words[-len(last) :], last))


def starts(words: Sequence[str], part: Sequence[str]) -> bool:
    """Whether words begin with others."""
    pairs = zip(words, part, strict=False)
    return len(words) >= len(part) and all(same(word, other) for word, other in pairs)


NUMBER = re.compile(r"-?\d*\.\d+")


def same(written: str, shown: str) -> bool:
    """Whether two words are equal, decimals within `TOLERANCE`."""
    if written == shown:
        return True
    if NUMBER.sub("#", written) != NUMBER.sub("#", shown):
        return False
    numbers = zip(NUMBER.findall(written), NUMBER.findall(shown), strict=True)
    return all(abs(float(a) - float(b)) <= TOLERANCE for a, b in numbers)
