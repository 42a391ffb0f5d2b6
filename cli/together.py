"""The command in several processes of torchrun: one runs it, the others train with it."""

from __future__ import annotations

import sys

from mirnagraph.errors import MirnagraphError
from seqtower.training.processes import follow, is_first, leading, was_launched

DIVIDED = ["seq", "train"]
"""The command whose trainings several processes divide."""

REFUSED = (
    "Error: torchrun starts several processes, and only `seq train` divides its work among them; "
    "run this command by itself\n"
)


def main() -> None:
    """Run `cli.main.main` in the first process; exit with its code in all."""
    from cli.main import main as run

    if not was_launched():  # torchrun with a single process
        run()
        return
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if words[: len(DIVIDED)] != DIVIDED:
        if is_first():
            sys.stderr.write(REFUSED)
        sys.exit(2)
    if not is_first():
        sys.exit(follow())
    try:
        with leading():
            run()
    except MirnagraphError as error:  # of joining; the command ends with SystemExit
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(error.exit_code)
