"""What is timed: one forward of a random Qwen2.5-VL, plain, measured by vaslab, or returning whole maps."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from vaslab.attention import Request, attached, requesting, require_mass

N_GROUPS = 8

# 8 layers, 8 heads, 4 key-value heads of 64: about 20 M parameters.
SMALL: dict[str, Any] = {
    "vocab_size": 2048,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
}
# The text decoder of Qwen2.5-VL-7B-Instruct, from its published config.
SEVEN_B: dict[str, Any] = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}


@dataclass(frozen=True)
class Case:
    """What vaslab is asked for: rows(S) = how many of the last rows, None = every row."""

    name: str
    rows: Callable[[int], int] | None
    grad: bool = False


CASES = {
    case.name: case
    for case in (
        Case("rows16", lambda _: 16),
        Case("rows64", lambda _: 64),
        Case("quarter", lambda length: length // 4),
        Case("all", None),
        Case("all_grad", None, grad=True),
    )
}


def build(text: dict[str, Any], device: str, dtype: torch.dtype) -> PreTrainedModel:
    """A random model with this text decoder and a vision tower of no weight."""
    hidden = text["hidden_size"]
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": hidden,
    }
    config = Qwen2_5_VLConfig(
        text_config={
            **text,
            "max_position_embeddings": 65536,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        vision_config={**vision, "fullatt_block_indexes": [0]},
        image_token_id=2,
        video_token_id=3,
        vision_start_token_id=4,
        vision_end_token_id=5,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen2_5_VLForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)


class Workload:
    """One model and one sequence, with the forwards that are compared."""

    def __init__(self, model: PreTrainedModel, length: int, logits_to_keep: int = 0):
        self.model, self.length, self.keep = model, length, logits_to_keep
        device = next(model.parameters()).device
        draw = torch.Generator().manual_seed(1)
        vocabulary = model.config.get_text_config().vocab_size
        ids = torch.randint(6, vocabulary, (1, length), generator=draw).to(device)
        self.batch = {"input_ids": ids, "mm_token_type_ids": torch.zeros_like(ids).int()}
        # Half of the sequence is one group, as a picture is; the others share the rest.
        self.groups = torch.randint(0, N_GROUPS, (1, length), generator=draw)
        self.groups[:, length // 8 : length * 5 // 8] = 3

    def request(self, case: Case) -> Request:
        """What the case asks."""
        rows = None
        if case.rows is not None:
            n = min(case.rows(self.length), self.length)
            rows = torch.arange(self.length - n, self.length)[None]
        return Request(self.groups, N_GROUPS, rows=rows, grad=case.grad)

    def _forward(self, maps: bool = False) -> Any:
        return self.model(
            **self.batch, use_cache=False, output_attentions=maps or None, logits_to_keep=self.keep
        )

    def plain(self, grad: bool = False) -> Tensor:
        """Forward on SDPA, and backward of a loss on the logits where `grad` asks; returns the logits."""
        with torch.set_grad_enabled(grad):
            logits = self._forward().logits
            if grad:
                self.model.zero_grad()
                logits.float().square().mean().backward()
        return logits.detach()

    def measured(self, case: Case) -> tuple[Tensor, list[Tensor]]:
        """The same with the masses of every layer; backward through the masses too."""
        request = self.request(case)
        with torch.set_grad_enabled(case.grad), requesting(self.model, request):
            out = self._forward(maps=True)
            masses = [require_mass(mass, i, request) for i, mass in enumerate(out.attentions)]
            if len(masses) != self.model.config.get_text_config().num_hidden_layers:
                raise RuntimeError(f"{len(masses)} layers returned masses")
            if case.grad:
                self.model.zero_grad()
                pull = torch.stack([mass[..., 3].clamp(min=1e-6).log().mean() for mass in masses]).mean()
                (out.logits.float().square().mean() - pull).backward()
        return out.logits.detach(), masses

    def maps(self) -> tuple[Tensor, ...]:
        """Forward on eager attention, whole maps returned."""
        with torch.no_grad():
            maps = self._forward(maps=True).attentions
        heads = self.model.config.get_text_config().num_attention_heads
        layers = self.model.config.get_text_config().num_hidden_layers
        assert len(maps) == layers
        assert all(m is not None and m.shape == (1, heads, self.length, self.length) for m in maps)
        return maps

    def on(self, backend: str, stack: ExitStack) -> None:
        """Put the model on a backend until the stack closes."""
        if backend == "vaslab":
            stack.enter_context(attached(self.model))
            return
        self.model.set_attn_implementation({"text_config": backend})
        stack.callback(self.model.set_attn_implementation, {"text_config": "sdpa"})
