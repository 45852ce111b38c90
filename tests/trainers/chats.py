"""Rows of unequal length to train on: pictures of two sizes, a system prompt, one row without a picture."""

from PIL import Image

from trainers.data.collate import to_dataset
from trainers.data.record import PLACE, Record

SMALL, WIDE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (96, 64), "blue")


def record(question, answer, picture=None, system=None):
    from io import BytesIO

    file = BytesIO()
    if picture is not None:
        picture.save(file, format="PNG")
    messages = [("user", f"{PLACE if picture else ''}{question}"), ("assistant", answer)]
    if system is not None:
        messages.insert(0, ("system", system))
    return Record("r", tuple(messages), (file.getvalue(),) if picture else ())


RECORDS = [
    record("what color is it?", "<think>red.</think><answer>red</answer>", SMALL),
    record("what?", "blue", WIDE, system="look at the image."),
    record("is red a color?", "yes"),
]


def rows(records=RECORDS):
    return list(to_dataset(records))


ASKED = [Record(f"r{i}", each.messages[:-1], each.images, "rl", "red") for i, each in enumerate(RECORDS[:2])]
"""Two prompts of unequal length, for reinforcement learning."""


def adapted(names):
    """Those of a model's weights that LoRA changes once it is merged."""
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    return {
        name
        for name in names
        if name.endswith(".weight") and name.split(".")[-2] in projections and "visual" not in name
    }
