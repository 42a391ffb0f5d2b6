"""A served page and a headless Chromium, shared by all tests of the browser."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 360, "height": 740}

LONGEST_WAIT = 60_000
"""Milliseconds; most steps take a tenth of a second, but machines are shared."""


@dataclass
class Seen:
    """What a page did.

    Attributes:
        requests: addresses asked for.
        errors: lines of the console, exceptions and dialogs.
    """

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Address of the page of the model that ships, served by a thread of this process."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    from fusion.serve.app import create_app
    from fusion.serve.guard import Hosts
    from fusion.serve.server import address_of, listen
    from fusion.serve.service import open_service

    service = open_service("shipped")
    app = create_app(service, Hosts.of("127.0.0.1"))
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield address_of("127.0.0.1", listener)
        server.should_exit = True
        thread.join(timeout=10)
    service.jobs.close()


@pytest.fixture(scope="session")
def chromium(address: str) -> Iterator[Any]:
    """A headless browser."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots: MIRNAGRAPH_SCREENSHOTS, else a temporary one."""
    kept = os.environ.get("MIRNAGRAPH_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def open_page(
    chromium: Any, address: str, screenshots: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Any]]:
    """Open the page; what it asks for and says is checked at the end of the test."""
    seen = Seen()
    contexts = []

    def open_(viewport: dict[str, int] = WIDE, **options: Any) -> Any:
        context = chromium.new_context(viewport=viewport, accept_downloads=True, **options)
        context.set_default_timeout(LONGEST_WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda sent: seen.requests.append(sent.url))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda line: seen.errors.append(line.text))
        page.on("dialog", lambda dialog: seen.errors.append(f"dialog {dialog.message}"))
        page.goto(address)
        return page

    yield open_
    for number, context in enumerate(contexts):
        for page in context.pages:
            name = request.node.name.removeprefix("test_")
            suffix = f"-{number}" if len(contexts) > 1 else ""
            page.screenshot(path=screenshots / f"{name}{suffix}.png")
        context.close()
    outside = [url for url in seen.requests if not url.startswith((f"{address}/", "blob:"))]
    assert outside == []
    assert seen.requests
    # A refused request is a line of the console, too.
    assert [text for text in seen.errors if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """The page on a wide screen."""
    return open_page()
