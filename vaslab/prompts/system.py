"""Where the system message begins and ends in a render, also when the template inserts a default one."""

from __future__ import annotations

import re
from itertools import takewhile

from vaslab.prompts.rendering import ChatTemplate, Message, TemplateError


def system_span(
    template: ChatTemplate, system: tuple[str | None, ...] | None, bos: str, special: re.Pattern[str]
) -> tuple[int, int, str]:
    """Return (start, end, text up to the first user text) of what the template renders for the system
    message.

    The header of a user turn is what a second user turn adds, after what ended the assistant turn before it.
    What stands before the first user turn's header is the system message, asked for or default, except for
    what opens every sequence: `bos`, or a run of special tokens with no text. A template that folds the
    system text into the user's turn has it after that header. start == end when there is none. Raises
    TemplateError when the two renders cannot be brought together.
    """
    header = _user_header(template, special)
    plain = _before_user(template, [])
    before = plain if system is None else _before_user(template, [("system", system)])
    opening = bos if bos and before.startswith(bos) else ""
    if plain.endswith(header):
        bare = plain.removesuffix(header)
        if not special.sub("", bare).strip() and before.startswith(bare):
            opening = bare
    if before.endswith(header):
        end = len(before) - len(header)
        return min(len(opening), end), end, before
    for folded in (opening + header, header):
        if before.startswith(folded):
            return len(folded), len(before), before
    raise TemplateError(
        f"The chat template begins with {before[-60:]!r} before the first user text, but opens later user "
        f"turns with {header!r}: the end of the system message cannot be told; use a template that opens "
        "all user turns alike."
    )


def _before_user(template: ChatTemplate, system: list[Message]) -> str:
    rendered = template.render([*system, ("user", (template.sentinel(0),))])
    stretches, numbers = template.split(rendered)
    if numbers != [0]:
        raise TemplateError(
            f"The chat template renders a user's text {len(numbers)} times; it must do so once."
        )
    return stretches[0]


def _user_header(template: ChatTemplate, special: re.Pattern[str]) -> str:
    """Return what stands between the end of an assistant turn and the text of the user turn after it."""
    history: list[Message] = [("user", (template.sentinel(0),)), ("assistant", (template.sentinel(1),))]
    alone, first = template.split(template.render(history))
    followed, second = template.split(template.render([*history, ("user", (template.sentinel(2),))]))
    if first != [0, 1] or second != [0, 1, 2]:
        raise TemplateError(
            "The chat template leaves out or reorders earlier turns; their tokens cannot be told apart."
        )
    ending, gap = alone[-1], followed[2]
    if gap.startswith(ending):
        return gap.removeprefix(ending)
    # A template may close a whole chat with a token of its own (Phi-3): the turn then ends at the last
    # special token shared.
    shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(ending, gap, strict=False)))
    ends = [match.end() for match in special.finditer(shared)]
    if ends:
        turn_end = ends[-1] + len(shared[ends[-1] :]) - len(shared[ends[-1] :].lstrip())
        return gap[turn_end:]
    # Or the last answer ends unlike earlier ones (gpt-oss): these may end as a user's turn does.
    user_end = template.split(template.render(history[:1]))[0][-1]
    if user_end and gap.startswith(user_end):
        return gap.removeprefix(user_end)
    raise TemplateError(
        f"The chat template ends its last turn with {ending!r} and goes on after one with {gap!r}: where a "
        "turn ends cannot be told; use a template that ends all turns alike."
    )
