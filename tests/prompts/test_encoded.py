"""Query rows, their share before the last picture, and moving a batch."""

import pytest
import torch

from vaslab.errors import UsageError
from vaslab.prompts.encode import encode
from vaslab.prompts.encoded import pad_rows
from vaslab.prompts.prompt import Prompt, Turn

# The default system message is 38 tokens of the byte processor, "<|im_start|>user\n" 6, a picture of 6 visual tokens 8.
START = 38 + 6


@pytest.fixture(scope="module")
def batch(letters, red):
    between = Prompt.chat([Turn("user", ["ab", red, "c"])])
    return encode(letters, [between, Prompt(user="longer text")], [[1, 2, 3], []])


def test_rows_are_positions_in_the_padded_sequence(batch):
    user, text = batch.rows("user")
    assert user.tolist() == [START, START + 1, START + 2 + 8]
    assert batch.rows("user_after_image")[0].tolist() == [START + 10]
    assert text.tolist() == batch.rows("user_after_image")[1].tolist()
    assert text.tolist() == list(range(START + 3, START + 14))
    assert batch.rows("response")[0].tolist() == [68, 69, 70]
    assert batch.rows("response")[1].numel() == 0


def test_share_of_queries_before_the_last_picture(batch):
    assert batch.before_image("user").tolist() == pytest.approx([2 / 3, 0])
    assert batch.before_image("user_after_image").tolist() == [0, 0]
    response = batch.before_image("response")
    assert response[0] == 0
    assert response[1].isnan()


def test_unknown_query_roles_are_refused(batch):
    with pytest.raises(
        UsageError, match="Unknown query role 'image'; the query roles are user, user_after_image, response"
    ):
        batch.rows("image")


def test_rows_of_several_items_in_one_table(batch):
    table = pad_rows(batch.rows("response"))
    assert table.tolist() == [[68, 69, 70], [-1, -1, -1]]
    with pytest.raises(UsageError, match="at least one item"):
        pad_rows([])


def test_moving_keeps_everything(batch):
    moved = batch.to("meta")
    assert len(moved) == len(batch) == 2
    assert {value.device.type for value in moved.inputs.values()} == {"meta"}
    assert {table.device.type for table in (moved.roles, moved.turn, moved.image, moved.patch)} == {"meta"}
    assert moved.grids == batch.grids
    assert torch.equal(batch.to("cpu").roles, batch.roles)


def test_the_rendered_text_is_kept(batch):
    assert batch.texts[1].endswith("<|im_start|>user\nlonger text<|im_end|>\n<|im_start|>assistant\n")
    assert batch.texts[0].count("<|image_pad|>") == 1
