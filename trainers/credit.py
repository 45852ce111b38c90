"""How much of a completion's advantage each of its tokens gets: all of it (GRPO), or what VPPO or AT-RL give it."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from trl import GRPOConfig
from trl.models.utils import disable_gradient_checkpointing

from trainers.atrl import AtrlConfig, atrl_weights
from trainers.methods import CREDITS, Credit
from trainers.refusals import refuse_conflicts
from trainers.vppo import (
    VppoConfig,
    black_patch,
    blackened,
    exact_kl,
    mean_perception,
    sampled_kl,
    vppo_weights,
)

_PIXELS = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
_TOKEN_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo")


class Credited:
    """What a GRPOTrainer needs on top to weigh tokens. TRL takes an advantage for each token as it takes one for each
    completion; the weights are found once, when the completions are, and stay with them.
    """

    credit: Credit
    _anchors: list[Float[Tensor, " token"]]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._anchors = []
        out: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if self.credit is None:
            return out
        rows = out["completion_mask"].bool()
        weights = (
            self._vppo(self.credit, out, rows)
            if isinstance(self.credit, VppoConfig)
            else self._collected(rows)
        )
        out["advantages"] = out["advantages"][:, None] * weights
        return out

    # -- AT-RL: from the masses that the reward reads

    def note_anchors(
        self,
        on_visual: Float[Tensor, "layer batch head row"],
        on_system: Float[Tensor, "layer batch head row"],
        response: Bool[Tensor, "batch row"],
    ) -> None:
        """Keep the weights of the completions of one forward, where AT-RL is asked for."""
        if isinstance(self.credit, AtrlConfig):
            for item, rows in enumerate(response):
                masses = on_visual[:, item][..., rows], on_system[:, item][..., rows]
                self._anchors.append(atrl_weights(*masses, self.credit))

    def _collected(self, rows: Bool[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        found = pad_sequence(self._anchors, True).to(rows.device)
        weights = torch.zeros_like(rows, dtype=found.dtype)
        weights[:, : found.shape[1]] = found
        self._note({"atrl/highest": weights.amax(-1)})
        return weights

    # -- VPPO: from a second look at blackened pictures

    @torch.no_grad()
    def _vppo(
        self, config: VppoConfig, out: dict[str, Any], rows: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token"]:
        trainer = cast(Any, self)
        if "pixel_values" not in out:  # nothing to perceive: plain GRPO
            return rows.float()
        with disable_gradient_checkpointing(trainer.network, trainer.args.gradient_checkpointing_kwargs):
            perception = self._perceived(config, out)
        means = mean_perception(perception, rows)
        weights = vppo_weights(perception, rows, trainer.accelerator.gather(means), config)
        kept = (weights > 0).sum(-1) / rows.sum(-1).clamp(min=1)
        highest = trainer.accelerator.gather(weights.amax(-1)).max()[None]
        self._note({"vppo/perception": means, "vppo/kept": kept, "vppo/highest": highest})
        return weights

    def _perceived(self, config: VppoConfig, out: dict[str, Any]) -> Float[Tensor, "batch token"]:
        """S of every token of the completions, by the policy as it stands."""
        trainer = cast(Any, self)
        ids = torch.cat([out["prompt_ids"], out["completion_ids"]], 1)
        mask = torch.cat([out["prompt_mask"], out["completion_mask"]], 1)
        length = out["completion_ids"].shape[1]
        training = trainer.network.training
        size = (
            trainer.args.per_device_train_batch_size if training else trainer.args.per_device_eval_batch_size
        )
        shown = {name: out[name] for name in _PIXELS if name in out}
        black = black_patch(trainer.processor.image_processor)
        drawn = self._draws()

        def passed(model: Any, **pixels: Tensor) -> Float[Tensor, "batch token"]:
            found: Tensor = trainer._get_per_token_logps_and_entropies(
                model, ids, mask, length, size, **{**shown, **pixels}
            )[0]
            return found

        if config.kl == "sampled":
            seen = out.get("old_per_token_logps")
            seen = passed(trainer.model) if seen is None else seen
            dark = blackened(shown["pixel_values"], black, config.masked, drawn)
            return sampled_kl(seen, passed(trainer.model, pixel_values=dark))

        def compared(labels: Tensor, fused_lm_head: bool, **inputs: Any) -> SimpleNamespace:  # noqa: ARG001
            dark = blackened(inputs["pixel_values"], black, config.masked, drawn)
            seen, blind = (
                trainer.network(
                    **{**inputs, "pixel_values": pixels}, use_cache=False, logits_to_keep=length + 1
                )
                .logits[:, :-1]
                .float()
                / trainer.temperature
                for pixels in (inputs["pixel_values"], dark)
            )
            return SimpleNamespace(log_probs=exact_kl(seen, blind))

        return passed(compared)

    def _draws(self) -> torch.Generator:
        """Draws that a resumed run repeats: by seed, step and process."""
        trainer = cast(Any, self)
        name = f"{trainer.args.seed} {trainer.state.global_step} {trainer.accelerator.process_index}"
        return torch.Generator().manual_seed(int.from_bytes(sha256(name.encode()).digest()[:7], "big"))

    def _note(self, numbers: dict[str, Float[Tensor, " batch"]]) -> None:
        """Add means over all devices to the log."""
        trainer = cast(Any, self)
        mode = "train" if trainer.network.training else "eval"
        for name, values in numbers.items():
            trainer._metrics[mode][name].append(trainer.accelerator.gather(values).mean().item())


def refuse_credit(credit: Credit, args: GRPOConfig) -> None:
    """Raise UsageError for settings of TRL under which an advantage for each token would mean something else."""
    if credit is None:
        return
    name = next(name for name, kind in CREDITS.items() if isinstance(credit, kind))
    conflicts = {
        "loss_type": (
            args.loss_type not in _TOKEN_LOSSES,
            f"it has no advantage for each token; set it to one of {', '.join(_TOKEN_LOSSES)}",
        ),
        "importance_sampling_level": (
            args.importance_sampling_level != "token",
            "the ratio would be one for the completion; set it to 'token'",
        ),
        "off_policy_mask_threshold": (
            args.off_policy_mask_threshold is not None,
            "it drops completions by the sign of one advantage; set it to None",
        ),
        "top_entropy_quantile": (
            args.top_entropy_quantile < 1.0,
            "it chooses tokens a second time; set it to 1.0",
        ),
        "mask_truncated_completions": (
            args.mask_truncated_completions and isinstance(credit, VppoConfig),
            "an answer left out would count as one that perceives nothing; set it to False",
        ),
    }
    refuse_conflicts(args, name, conflicts)
