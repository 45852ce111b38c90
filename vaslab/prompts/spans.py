"""Which stretch of a rendered chat belongs to whom, found by rendering the chat template, never by guessing.

The template is rendered with a sentinel in place of every text, so that its own words and the chat's cannot
be confused; then each sentinel gives way to what the template makes of the real text, and the result must
equal the ordinary render.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vaslab.prompts.prompt import Prompt
from vaslab.prompts.rendering import PICTURE, ChatTemplate, Message, TemplateError
from vaslab.prompts.roles import Role
from vaslab.prompts.system import system_span
from vaslab.prompts.vocabulary import Vocabulary

_ROLE_OF_TURN = {"system": Role.system, "user": Role.user, "assistant": Role.history}


@dataclass(frozen=True)
class Span:
    """Characters start..end of a rendered chat.

    `written` says that they are a text of the chat, not the template's. `turn` is the index of the user turn
    whose text or picture they are, `image` the index of the picture that a placeholder stands for; -1
    elsewhere.
    """

    start: int
    end: int
    role: Role
    written: bool = False
    turn: int = -1
    image: int = -1


@dataclass(frozen=True)
class RenderedChat:
    """The text a chat template makes of a prompt, and spans that cover it in order without overlap."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class _Text:
    """A text of the chat: which message and part it is, its words, role and user turn (-1 in others)."""

    message: int
    part: int
    words: str
    role: Role
    turn: int


def render_chat(
    vocabulary: Vocabulary, prompt: Prompt, options: Mapping[str, Any] | None = None
) -> RenderedChat:
    """Render a prompt and say for every character whose it is.

    System text and its markers are system; texts of user turns user; assistant turns history, the last one
    (when it ends the chat) response with its end token; placeholders image or video; all else marker. The
    generation prompt is added when a user turn ends the chat.

    Raises TemplateError when the template refuses the chat, drops, repeats or rewrites a text, or has another
    number of picture placeholders than the prompt has pictures.
    """
    messages: list[Message] = [
        (turn.role, tuple(piece if isinstance(piece, str) else PICTURE for piece in turn.pieces))
        for turn in prompt.turns
    ]
    texts = _texts(messages, prompt.answered)
    template = ChatTemplate(vocabulary.processor, options or {}, [text.words for text in texts])
    generate = not prompt.answered
    stretches, shown = _align(template, messages, texts, generate)
    text = template.render(messages, generate)
    system = messages[0][1] if messages[0][0] == "system" else None
    start, end, before = system_span(template, system, vocabulary.bos, vocabulary.special)
    if not text.startswith(before[:end]):
        raise TemplateError(
            "The chat template writes another system message for several turns than for one; use one turn."
        )
    spans: list[Span] = []
    position = 0
    for number, stretch in enumerate(stretches):
        answer_end = position
        if prompt.answered and number == len(texts):
            ending = vocabulary.special.match(stretch, len(stretch) - len(stretch.lstrip()))
            answer_end = position + (ending.end() if ending else 0)
        edges = {start, end, answer_end}
        spans += _template_spans(stretch, position, edges, (start, end), answer_end, vocabulary.placeholders)
        position += len(stretch)
        if number < len(texts) and shown[number]:
            words = texts[number]
            spans.append(Span(position, position + len(shown[number]), words.role, True, words.turn))
            position += len(shown[number])
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])], (
        "spans must tile the text"
    )
    return RenderedChat(text, _number_images(spans, prompt))


def _texts(messages: list[Message], answered: bool) -> list[_Text]:
    found, user_turn = [], -1
    for number, (role, parts) in enumerate(messages):
        user_turn += role == "user"
        owner = Role.response if answered and number == len(messages) - 1 else _ROLE_OF_TURN[role]
        turn = user_turn if role == "user" else -1
        found += [_Text(number, part, words, owner, turn) for part, words in enumerate(parts) if words]
    return found


def _align(
    template: ChatTemplate, messages: list[Message], texts: list[_Text], generate: bool
) -> tuple[list[str], list[str]]:
    """Return the template's own stretches and, between them, each text as the template shows it."""
    marked = {(text.message, text.part): template.sentinel(number) for number, text in enumerate(texts)}
    rendered = template.render(_replaced(messages, marked), generate)
    stretches, numbers = template.split(rendered)
    for number, text in enumerate(texts):
        if numbers.count(number) != 1:
            raise TemplateError(
                f"The chat template shows the text of turn {text.message} ({messages[text.message][0]}) "
                f"{numbers.count(number)} times, not once; leave that turn out, or merge the texts of the "
                "turn into one."
            )
    if numbers != sorted(numbers):
        raise TemplateError(
            "The chat template changes the order of the turns; their tokens cannot be told apart."
        )
    real = template.render(messages, generate)
    shown = [text.words for text in texts]
    if _joined(stretches, shown) != real:
        shown = [
            _shown(template, messages, marked, text, stretches, number, generate)
            for number, text in enumerate(texts)
        ]
        if _joined(stretches, shown) != real:
            raise TemplateError(
                "The chat template's own words depend on the texts in it; their tokens cannot be told apart."
            )
    return stretches, shown


def _shown(
    template: ChatTemplate,
    messages: list[Message],
    marked: dict[tuple[int, int], str],
    text: _Text,
    stretches: list[str],
    number: int,
    generate: bool,
) -> str:
    """Return what the template makes of one text: itself, or a part of it (trimmed, reasoning cut off)."""
    others = {place: sentinel for place, sentinel in marked.items() if place != (text.message, text.part)}
    rendered = template.render(_replaced(messages, others), generate)
    sentinels = [template.sentinel(other) for other in range(len(stretches) - 1)]
    before = _joined(stretches[: number + 1], sentinels[:number])
    after = _joined(stretches[number + 1 :], sentinels[number + 1 :])
    shown = rendered[len(before) : len(rendered) - len(after)]
    if before + shown + after != rendered or shown not in text.words:
        raise TemplateError(
            f"The chat template rewrites the text of turn {text.message} ({messages[text.message][0]}), "
            f"which begins {text.words[:40]!r}; pass an answer as generated token ids (responses=), or "
            "plain text without the tags that the template looks for."
        )
    return shown


def _replaced(messages: list[Message], texts: dict[tuple[int, int], str]) -> list[Message]:
    return [
        (role, tuple(texts.get((number, part), words) for part, words in enumerate(parts)))
        for number, (role, parts) in enumerate(messages)
    ]


def _joined(stretches: list[str], between: list[str]) -> str:
    return "".join(part for pair in zip(stretches, [*between, ""], strict=True) for part in pair)


def _template_spans(
    stretch: str,
    offset: int,
    edges: set[int],
    system: tuple[int, int],
    answer_end: int,
    tokens: dict[str, Role],
) -> list[Span]:
    """Cut one of the template's own stretches into spans: placeholders, system, the response's end token,
    markers.
    """
    pattern = "|".join(map(re.escape, tokens)) or "(?!)"
    found = {offset + match.start(): match for match in re.finditer(pattern, stretch)}
    cuts = {offset, offset + len(stretch), *(edge for edge in edges if offset < edge < offset + len(stretch))}
    cuts |= {edge for start, match in found.items() for edge in (start, offset + match.end())}
    ordered, spans = sorted(cuts), []
    for start, end in pairwise(ordered):
        if start in found:
            role = tokens[found[start].group()]
        elif system[0] <= start and end <= system[1]:
            role = Role.system
        else:
            role = Role.response if end <= answer_end else Role.marker
        spans.append(Span(start, end, role))
    return spans


def _number_images(spans: list[Span], prompt: Prompt) -> tuple[Span, ...]:
    user_turns = [turn for turn in prompt.turns if turn.role == "user"]
    owners = [number for number, turn in enumerate(user_turns) for _ in turn.images]
    places = [number for number, span in enumerate(spans) if span.role is Role.image]
    if len(places) != len(owners):
        raise TemplateError(
            f"The chat template has {len(places)} picture placeholders for a prompt of {len(owners)} "
            "pictures; use the processor of a vision-language model with its own chat template."
        )
    for image, (place, turn) in enumerate(zip(places, owners, strict=True)):
        span = spans[place]
        spans[place] = Span(span.start, span.end, span.role, False, turn, image)
    return tuple(spans)
