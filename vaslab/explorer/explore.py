"""`vaslab.explore`: show me where the model looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from vaslab.errors import UsageError
from vaslab.explorer.entries import Source
from vaslab.explorer.opening import open_capture, open_model
from vaslab.explorer.runs import open_run
from vaslab.explorer.view import View
from vaslab.explorer.widget import HeadExplorer
from vaslab.prompts.prompt import Prompt

if TYPE_CHECKING:
    from vaslab.benchmarks import Item


def explore(
    run: Any,
    other: Any = None,
    *,
    item: int | str | None = None,
    queries: str | None = None,
    live: bool = False,
    prompts: Sequence[Prompt] | None = None,
    vlm: Any = None,
    answers: Sequence[Any] | None = None,
    items: Sequence[Item] | None = None,
) -> HeadExplorer:
    """Explore heads, pictures and answers in a notebook.

        vaslab.explore("runs/base")                    # a run: the first head chosen loads its model
        vaslab.explore("runs/base", "runs/avar")       # two checkpoints on the same items
        vaslab.explore(capture, prompts=prompts, vlm=vlm)
        vaslab.explore(vlm)                            # ask it something

    Args:
        run: a run folder, a Capture, or a model that `vaslab.load` returned.
        other: a second run folder or Capture, of the same items.
        item: id or index of the item shown first.
        queries: the query role shown first.
        live: allow questions of one's own; a model that was given always does.
        prompts: of a Capture: what was asked, one an item. Gives questions and pictures.
        vlm: the model that the run or Capture was made with, if it is loaded. A run loads its own otherwise; of a
            Capture the maps that it kept (`vaslab.capture(..., patches=...)`) are shown then.
        answers: of a Capture: what `vaslab.answer` returned, one an item.
        items: of a Capture: the benchmark's items it is of, in place of prompts. They know their references, and some
            know where the answer is seen: heads can then be ranked by what they spend on it.

    Returns:
        a widget. `to_html(path)` writes the same without a kernel.

    Raises:
        UsageError: a wrong call, or two runs that do not align.
        MissingError, VaslabError: a run that is not there, not finished or damaged.
    """
    is_model = _is_model(run)
    told = {"prompts": prompts, "vlm": vlm, "answers": answers, "items": items}
    sources = [_opened(each, told) for each in (run, other) if each is not None]
    if not isinstance(run, xr.Dataset) and any(
        told[name] is not None for name in ("prompts", "answers", "items")
    ):
        raise UsageError("prompts, answers and items belong to a Capture; a run folder knows its own")
    if vlm is not None and isinstance(run, str | Path) and not any(source.loaded for source in sources):
        raise UsageError(
            f"{vlm.name} ({vlm.revision}) is not the model that the run was made with; leave vlm out, or load that one"
        )
    view = View(sources, live=live or is_model)
    state = view.start()
    shown = {
        "item": state.item if item is None else view.item_of(item),
        "queries": queries or state.queries,
        "scope": state.scope if item is None else "item",
        "selected": state.selected,
    }
    return HeadExplorer(view, view.checked(shown))


def _opened(given: Any, told: dict[str, Any]) -> Source:
    if isinstance(given, str | Path):
        return open_run(given, told["vlm"])
    if isinstance(given, xr.Dataset):
        return open_capture(given, **told)
    if _is_model(given):
        return open_model(given)
    raise UsageError(
        f"cannot explore a {type(given).__name__}; give a run folder, a Capture, or what vaslab.load returned"
    )


def _is_model(given: Any) -> bool:
    # Vlm itself would load torch
    return all(hasattr(given, name) for name in ("model", "processor", "n_layers", "n_heads"))
