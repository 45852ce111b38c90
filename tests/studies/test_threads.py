from unittest.mock import Mock

import pytest
import torch

from vaslab.models import Vlm
from vaslab.studies.threads import SMALL, fit_threads


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def model_of(parameters, device="cpu"):
    weight = torch.empty(parameters, device="meta")
    vlm = Mock(spec=Vlm, device=torch.device(device), model=Mock())
    vlm.model.parameters.return_value = [weight]
    return vlm


@pytest.mark.parametrize(
    ("parameters", "device", "expected"), [(SMALL - 1, "cpu", 1), (SMALL, "cpu", 2), (SMALL - 1, "cuda", 2)]
)
def test_a_small_model_on_the_cpu_takes_one_thread(parameters, device, expected):
    fit_threads(model_of(parameters, device))
    assert torch.get_num_threads() == expected


def test_the_number_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    fit_threads(model_of(10))
    assert torch.get_num_threads() == 2


@pytest.mark.tiny
def test_a_run_and_its_proof_are_made_with_one_thread(tiny_model, tmp_path, monkeypatch):
    from vaslab.studies import measure
    from vaslab.studies.config import MeasureConfig
    from vaslab.studies.run import read_json

    during = []

    def prove(vlm):
        during.append(torch.get_num_threads())
        return whole(vlm)

    whole = measure.prove
    monkeypatch.setattr(measure, "prove", prove)
    config = MeasureConfig(
        str(tiny_model), str(tmp_path / "run"), data="glyph", limit=2, batch_size=2, max_new_tokens=2
    )
    path = measure.measure(config)
    assert during == [1]
    assert read_json(path / "environment.json")["fixed"]["threads"] == 1
