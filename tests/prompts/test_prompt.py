"""Prompts are refused at construction, in one line that names the fix."""

from pathlib import Path

import pytest
from PIL import Image

from vaslab.errors import UsageError
from vaslab.prompts.prompt import Prompt, Turn, check_piece


def test_pictures_stand_before_the_users_text():
    picture = Image.new("RGB", (8, 8))
    prompt = Prompt(system="S", user="Hi", images=[picture, "a.png", Path("b.png")])
    assert [turn.role for turn in prompt.turns] == ["system", "user"]
    assert prompt.turns[1].pieces == (picture, Path("a.png"), Path("b.png"), "Hi")
    assert prompt.images == (picture, Path("a.png"), Path("b.png"))
    assert not prompt.answered


def test_none_and_empty_system_differ():
    assert Prompt(user="Hi").turns[0].role == "user"
    assert Prompt(system="", user="Hi").turns[0] == Turn("system", "")


def test_a_picture_without_text_is_a_prompt():
    assert len(Prompt(images=["a.png"]).turns[0].pieces) == 1


def test_prompts_of_the_same_turns_are_equal():
    assert Prompt(user="Hi") == Prompt.chat([Turn("user", ["Hi"])])
    assert Prompt.chat([Turn("user", "a"), Turn("assistant", "b")]).answered


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Turn("tool", "x"), "Unknown turn role 'tool'; the roles are system, user, assistant"),
        (lambda: Turn("assistant", [Path("a.png")]), "holds a picture; move the picture into a user turn"),
        (lambda: Turn("user", "a \ud800"), "lone surrogate at character 2"),
        (lambda: Prompt(), "has no content; give it text or a picture"),
        (lambda: Prompt(user="Hi", images="a.png"), r"write images=\[picture\]"),
        (lambda: Prompt.chat([]), r"no user turn \(its turns: none\)"),
        (lambda: Prompt.chat([Turn("system", "S")]), r"no user turn \(its turns: system\)"),
        (lambda: Prompt.chat([Turn("user", "a"), Turn("system", "S")]), "A system turn stands only first"),
        (lambda: Prompt.chat([Turn("assistant", "a"), Turn("user", "b")]), "begins with an assistant turn"),
        (lambda: Prompt.chat([Turn("user", ["", ""])]), r"Turn 0 \(user\) has no content"),
        (
            lambda: Prompt.chat([Turn("user", "a"), Turn("assistant", "")]),
            r"Turn 1 \(assistant\) has no content",
        ),
    ],
)
def test_what_is_no_chat_is_refused(build, message):
    with pytest.raises(UsageError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_what_is_neither_text_nor_picture_is_refused():
    """Type checking, which runs in these tests, would refuse it first."""
    with pytest.raises(UsageError, match="A user turn holds a int; give a str for text, and a PIL image"):
        check_piece(3, "user")
