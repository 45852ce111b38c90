"""Ask the model something new: a question, a picture, a system prompt, and how strong its attention to each is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaslab.errors import UsageError, VaslabError, one_line
from vaslab.explorer.entries import Entry
from vaslab.explorer.pictures import drawn, from_data_uri
from vaslab.organism.glyphs import COLORS, SHAPES
from vaslab.prompts.prompt import Prompt

if TYPE_CHECKING:
    from vaslab.explorer.view import State, View

MOST_FACTOR = 8.0
LONGEST_TEXT = 20_000


def idle(view: View) -> dict[str, Any]:
    """What the page shows before anything is asked."""
    return {
        "state": "idle",
        "message": "" if view.live else "explore(..., live=True) allows questions of your own",
        "seconds": 0,
        "answer": "",
        "question": "",
        "system": "",
        "shapes": list(SHAPES),
        "colors": list(COLORS),
        "most": MOST_FACTOR,
        "item": None,
    }


def busy(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What it shows while the model answers."""
    return {**shown, "state": "busy", "message": "asking the model …", "answer": "", "item": None}


@dataclass(frozen=True)
class Asked:
    """A question that a page sent, checked.

    Args:
        question, system: texts; system None leaves it to the template.
        pictures: what is shown.
        visual, system_factor: factors on attention weights to visual and system keys, renormalised.
    """

    question: str
    system: str | None
    pictures: tuple[Any, ...]
    visual: float
    system_factor: float

    @property
    def prompt(self) -> Prompt:
        """What the model is asked."""
        return Prompt(system=self.system, user=self.question, images=self.pictures)

    @property
    def edit(self) -> str:
        """What is done to the model's attention, in words; "" where it is left alone."""
        factors = {"visual": self.visual, "system": self.system_factor}
        return ", ".join(f"{name} attention ×{factor:.3g}" for name, factor in factors.items() if factor != 1)

    def edited(self, vlm: Any) -> AbstractContextManager[Any]:
        """Inside it the model's attention is scaled; with factors of 1 it is left alone."""
        if not self.edit:
            return nullcontext()
        from vaslab.explorer.factors import Factors
        from vaslab.interventions import intervene

        return intervene(vlm, Factors(visual=self.visual, system=self.system_factor))


def ask(view: View, state: State, told: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Ask the model what a page sent, and add the answer to the view's items.

    Returns:
        what the page is to show, and the index of the new item; None where nothing was asked, and why.
    """
    started = time.perf_counter()
    shown = {**idle(view), **{name: _text(told.get(name)) for name in ("question", "system")}}
    try:
        if not view.live:
            raise UsageError("this explorer does not ask questions; open it with live=True")
        asked = checked(view, state, told)
        item = view.add(_answered(view, asked))
    except (VaslabError, OSError) as error:
        return {**shown, "state": "error", "message": one_line(error)}, None
    seconds = time.perf_counter() - started
    answer = view.items[item]["runs"][0]["response"]
    changed = f"{asked.edit}, renormalised, in rows after the picture" if asked.edit else ""
    return {
        **shown,
        "state": "done",
        "message": changed,
        "seconds": round(seconds, 2),
        "answer": answer,
        "item": item,
    }, item


def checked(view: View, state: State, told: Mapping[str, Any]) -> Asked:
    """Read a question that a page sent. Raises UsageError, ImageError for what cannot be asked."""
    question, system = told.get("question"), told.get("system")
    if not isinstance(question, str) or not question.strip():
        raise UsageError("there is no question; write one")
    if system is not None and not isinstance(system, str):
        raise UsageError("the system prompt is no text")
    if max(len(question), len(system or "")) > LONGEST_TEXT:
        raise UsageError(f"the text has more than {LONGEST_TEXT:,} characters; shorten it")
    return Asked(
        question=question,
        system=system or None,
        pictures=_pictures(view, state, told),
        visual=_factor(told.get("visual"), "visual"),
        system_factor=_factor(told.get("system_factor"), "system"),
    )


def _pictures(view: View, state: State, told: Mapping[str, Any]) -> tuple[Any, ...]:
    picture, glyphs = told.get("picture"), told.get("glyphs")
    if isinstance(glyphs, Sequence) and not isinstance(glyphs, str) and glyphs:
        return (drawn(glyphs),)
    if isinstance(picture, str):
        return (from_data_uri(picture),)
    if picture is not None:
        raise UsageError("the picture is no data URI; drop a PNG, JPEG or WebP file")
    if state.item < 0:
        raise UsageError("there is no picture; drop one, or draw shapes")
    return view.entries(state.item)[0].prompt().images


def _factor(value: Any, name: str) -> float:
    given = 1.0 if value is None else value
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= MOST_FACTOR:
        raise UsageError(f"the {name} factor is {str(value)[:20]}; expected 0 to {MOST_FACTOR:g}")
    return float(given)


def _text(value: Any) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _answered(view: View, asked: Asked) -> Entry:
    """Let the model answer, and measure it."""
    from vaslab.capture.capture import answer

    source = view.sources[0]
    vlm = source.vlm()
    number = 1 + sum(entry.category == "asked" for entry in source.entries)
    with asked.edited(vlm):
        (told,), capture = answer(
            vlm,
            [asked.prompt],
            view.queries,
            max_new_tokens=source.max_new_tokens,
            item_ids=[f"live-{number}"],
        )
    ids = list(told.ids)
    return Entry(
        id=f"live-{number}",
        question=asked.question,
        capture=capture,
        at=0,
        prompt=lambda: asked.prompt,
        told=lambda _: (ids, ""),
        category="asked",
        response=told.text,
        why="" if told.finished else f"cut off at {source.max_new_tokens} tokens",
        picture="",
        edited=asked.edited,
        edit=asked.edit,
        system=asked.system or "",
    )
