"""`vaslab explore RUN [RUN_B]`: look at heads, pictures and answers in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from vaslab.cli.console import note, quiet_libraries, warnings_as_notes


def explore(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN_B]", help="A second one, of the same items.", show_default=False),
    ] = None,
    item: Annotated[str | None, typer.Option(help="Id of the item shown first.", show_default=False)] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one item as a page of its own, and end.", show_default=False)
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the run's model questions of your own.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or print the address alone.")
    ] = True,
) -> None:
    """See where a run's heads look, item by item; two runs side by side.

    vaslab explore runs/base

    vaslab explore runs/base --html base.html

    The page is served on this machine alone, under an address with a token. Ctrl-C ends it.
    """
    quiet_libraries()
    from dataclasses import replace

    from vaslab.explorer.runs import open_run
    from vaslab.explorer.view import View

    view = View([open_run(folder) for folder in (run, other) if folder is not None], live=live)
    state = view.start()
    if item is not None:
        state = replace(state, item=view.item_of(item), scope="item")
    if html is not None:
        from vaslab.explorer.page import write_page

        with warnings_as_notes():
            path = write_page(view, state, html)
        print(path)
        return
    from vaslab.explorer.server import ExplorerServer

    with ExplorerServer(view, port, state) as server:
        print(server.url, flush=True)
        there = f"{server.port}:127.0.0.1:{server.port}"
        note(
            f"Ctrl-C ends the explorer; from another machine: ssh -L {there} THIS-MACHINE, then the same address"
        )
        if browser and not webbrowser.open(server.url):
            note("no browser could be opened; open the address above")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            # the way to end a server is no failure
            note("the explorer has ended")
