"""``python -m cli``, the command `mirnagraph`; started by torchrun, one training in all processes."""

from __future__ import annotations

import sys

from cli import start
from seqtower.training.processes import follow, is_first, leading, was_launched

DIVIDED = ["seq", "train"]
"""The command whose trainings several processes divide."""

REFUSED = (
    "Error: torchrun starts several processes, and only `seq train` divides its work among them; "
    "run this command by itself\n"
)


def main() -> None:
    """Run the command in the first process; the others, of torchrun, train with it."""
    if not was_launched():
        start.main()
        return
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if words[: len(DIVIDED)] != DIVIDED:
        if is_first():
            sys.stderr.write(REFUSED)
        sys.exit(2)
    if not is_first():
        sys.exit(follow())
    with leading():
        start.main()


if __name__ == "__main__":
    main()
