"""What rewards tell answers apart by: two prompts by hand, and a tiny model that learns nothing while it is watched."""

import pytest
import torch

from trainers.reward_signal import FORMS, agreement, report, told_apart, watched
from vaslab.models import load_model


def test_a_reward_that_is_accuracy_again_has_no_variance_of_its_own():
    accuracy = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    assert told_apart(accuracy, 0.3 * accuracy) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_one_that_differs_between_right_answers_has():
    accuracy, visual = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 3.0, 0.0, 0.0]])
    # within the prompt: a = 0.5, 0.5, -0.5, -0.5; v = 0, 2, -1, -1: a.v = 2, a.a = 1, v.v = 6
    correlation, own = told_apart(accuracy, visual)
    assert correlation == pytest.approx(2 / 6**0.5)
    # v - 2 a = -1, 1, 0, 0, of whose squares 2; a + v = 0.5, 2.5, -1.5, -1.5, of whose squares 11
    assert own == pytest.approx(2 / 11)


def test_what_all_answers_to_a_prompt_share_counts_for_nothing():
    accuracy = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    shifted = torch.tensor([[0.2, 0.0], [5.0, 5.0]])
    assert told_apart(accuracy, shifted)[0] == pytest.approx(1.0)


def test_agreement_by_hand():
    # cosines 0, 1 / sqrt 2 and 1 / sqrt 2
    cosine, spread = agreement(torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    assert cosine == pytest.approx(2 / 3 / 2**0.5)
    assert spread == pytest.approx(torch.tensor([0, 0.5**0.5, 0.5**0.5]).std(correction=0).item())


@pytest.mark.tiny
def test_a_model_is_watched_and_left_as_it_was(tiny_folder):
    trainer = watched(str(tiny_folder), batches=2, prompts=2, answers=2, longest=6)
    before = load_model(tiny_folder).model.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.state_dict().items())
    assert {name: len(each) for name, each in trainer.kept.items()} == dict.fromkeys(
        ("accuracy", "gradient", *FORMS), 2
    )
    share, ratio = (torch.cat(trainer.kept[name]) for name in ("share", "ratio"))
    assert ((share > 0) & (share < 1)).all()
    assert torch.equal(share.argsort(), ratio.argsort())
    trainer.kept["accuracy"] = [torch.tensor([1.0, 0.0, 1.0, 1.0])] * 2
    trainer.kept["gradient"] = [torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])]
    *forms, gradients = report(trainer.kept, 2)
    assert [row["form"] for row in forms] == list(FORMS)
    assert gradients["cosine"] == pytest.approx(0.5**0.5)
    assert gradients["accuracy"] == 0.75
