"""`mirnagraph serve`: page and JSON API of one model."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

from typer import Option

from cli.common import RunNetworksOption
from cli.end import Signalled
from cli.limits import LONGEST
from cli.messages import say

EPILOG = "Example: `mirnagraph serve --run runs/mine`"

RunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `train` or `seq train`, model folder, hf://OWNER/NAME, or shipped.",
        show_default="the newest run of `train` under ./runs, else the model that ships",
    ),
]

HostOption = Annotated[
    str,
    Option(
        help="Name or address to listen on; 0.0.0.0 lets other machines in, without a password."
    ),
]

PortOption = Annotated[int, Option(min=0, max=65535, help="Port; 0 for any free one.")]

MaxUploadOption = Annotated[int, Option(min=1, max=1_000, help="Largest upload, in MB.")]

MaxRnasOption = Annotated[int, Option(min=1, max=LONGEST, help="Most names or sequences of a job.")]

MaxLengthOption = Annotated[int, Option(min=1, max=LONGEST, help="Most nucleotides of a sequence.")]

MaxJobsOption = Annotated[int, Option(min=1, max=64, help="Most jobs that run at a time.")]


def serve(
    run: RunOption = None,
    networks: RunNetworksOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    max_upload: MaxUploadOption = 5,
    max_rnas: MaxRnasOption = 10_000,
    max_length: MaxLengthOption = 50_000,
    max_jobs: MaxJobsOption = 2,
) -> None:
    """Serve a page that predicts and explains names and sequences, and a JSON API.

    Needs the extra `web`. Without a run, the model that ships answers for human miRNAs. The page
    loads nothing from outside and works offline; other machines reach it only with --host.
    """
    from fusion.default_model import default_model
    from fusion.models.saved import FORMAT
    from fusion.serve.limits import MEGABYTE, Limits
    from fusion.serve.server import serve as start

    limits = Limits(
        max_upload_bytes=max_upload * MEGABYTE,
        max_rnas=max_rnas,
        max_length=max_length,
        max_jobs=max_jobs,
    )
    folder = run or default_model(sequences=True, model=FORMAT)

    def started(title: str, address: str, is_own: bool) -> None:
        if not is_own:
            say(f"Warning: everyone who reaches {host} can use the page; it has no password")
        say(f"Serving the {title}; Ctrl-C ends")
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()

    try:
        start(folder, networks=networks, host=host, port=port, limits=limits, started=started)
    except KeyboardInterrupt:
        sys.exit(Signalled(signal.SIGINT).exit_code)
    except Signalled as ended:  # a server has nothing to say of its end
        sys.exit(ended.exit_code)
