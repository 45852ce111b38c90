"""Reinforcement learning with visual-anchored reward shaping: VARS on TRL's GRPOTrainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.trainer_utils import SaveStrategy
from trl import GRPOConfig, GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing

from trainers.checkpoints import Resuming
from trainers.credit import Credited, refuse_credit
from trainers.looking import Looks, refuse_dropout, watching
from trainers.methods import Credit
from trainers.reference import is_policy, reference_on_disk
from trainers.refusals import other_forwards, refuse_conflicts, refuse_unloaded
from trainers.rewards import VarsConfig, accuracy_reward, format_reward, gated, visual_reward
from trainers.sets import Sets, paper_sets
from vaslab.attention import text_decoder
from vaslab.errors import UsageError, VaslabError
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt, Turn
from vaslab.prompts.roles import Role
from vaslab.prompts.vocabulary import tokenizer_of


class AvarGRPOTrainer(Resuming, Credited, GRPOTrainer):
    """GRPOTrainer whose reward is r_accuracy + lambda_v * r_visual + lambda_f * r_format (VARS, arXiv 2603.03825).

    r_visual is read off the pass that TRL makes for the old log-probabilities where it makes one (vLLM with importance
    sampling; generations that several steps share); otherwise it costs one forward without a gradient. Rows hold
    `prompt` (blocks), `images` and `answer`.

    Args:
        model: a loaded model, from a folder where vLLM or a KL term is to read it again.
        args: TRL's config; `reward_weights` are the config's below.
        shaping: the reward.
        text_tokens: special tokens that texts may use.
        credit: how a completion's tokens share its advantage; None gives each the whole.
        **options: GRPOTrainer's own.

    Raises:
        UsageError: a combination that would train something else in silence; the message says what to set.
    """

    def __init__(
        self,
        model: Any,
        args: GRPOConfig,
        shaping: VarsConfig | None = None,
        text_tokens: tuple[str, ...] = (),
        credit: Credit = None,
        **options: Any,
    ) -> None:
        self.shaping, self.text_tokens, self.credit = shaping or VarsConfig(), tuple(text_tokens), credit
        _refuse(model, args, options)
        refuse_credit(credit, args)
        args.reward_weights = [1.0, self.shaping.lambda_v, self.shaping.lambda_f]
        rewards: list[Any] = [self.accuracy, self.visual, self.format]
        with reference_on_disk(model, args.beta, options.get("peft_config") is not None):
            super().__init__(model, reward_funcs=rewards, args=args, **options)
        self.network = cast(Any, self.model)
        self.processor = cast(Any, self.processing_class)
        self.template_options = cast(dict[str, Any], self.chat_template_kwargs)
        self.layers = self.shaping.layers_of(text_decoder(self.network)[1].config.num_hidden_layers)
        self._looks: dict[str, Tensor] | None = None
        self._asked: list[Any] | None = None

    # -- rewards, in the order of their weights

    def accuracy(self, completion_ids: list[list[int]], answer: list[str], **_: Any) -> list[float]:
        """r_accuracy of each completion, 0 or 1, against the `answer` of its record."""
        texts = [self._text(ids) for ids in completion_ids]
        pairs = zip(texts, answer, strict=True)
        return [accuracy_reward(text, right, self.shaping.grader) for text, right in pairs]

    def visual(
        self, completion_ids: list[list[int]], answer: list[str], log_metric: Any, **_: Any
    ) -> list[float]:
        """r_visual of each completion; logs the paper's raw ratio, and the two masses, before any gate or bound.

        Raises VaslabError where no pass has measured them.
        """
        if self._looks is None:
            raise VaslabError(
                "no pass has measured these completions; call the trainer's own train or evaluate"
            )
        for name in ("raw", "visual_mass", "system_mass"):
            log_metric(f"vars/{name}", self._looks[name].mean().item())
        right = torch.tensor(self.accuracy(completion_ids, answer))
        return gated(self._looks["reward"].cpu(), right, self.shaping).tolist()

    def format(self, completion_ids: list[list[int]], **_: Any) -> list[float]:
        """r_format of each completion, 0 or 1."""
        return [format_reward(self._text(ids)) for ids in completion_ids]

    def _text(self, ids: Sequence[int]) -> str:
        """What was written: special tokens that texts may use stay, what ends and pads a turn goes."""
        tokenizer = tokenizer_of(self.processor)
        ending = {*self.eos_token_ids, tokenizer.pad_token_id}
        return str(tokenizer.decode([number for number in ids if number not in ending]))

    # -- where the masses come from

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._looks, self._asked = None, None
        return super()._generate_and_score_completions(inputs)

    def _generate(self, prompts: list[Any]) -> Any:
        self._asked = prompts
        return super()._generate(prompts)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """TRL's pass over the completions; the first without a gradient, by the policy, is watched."""
        plain = cast(Any, super()._get_per_token_logps_and_entropies)
        asked = self._asked
        watch = self._looks is None and not torch.is_grad_enabled() and is_policy(model, self.model)
        if asked is None or not watch:
            return plain(model, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
        sets, rows = self._sets_of_pass(asked, input_ids, attention_mask, logits_to_keep)
        parts: list[dict[str, Tensor]] = []
        first = 0

        def watched(**inputs: Any) -> Any:
            nonlocal first
            last = first + len(inputs["input_ids"])
            part = Sets(*(each[first:last] for each in (sets.system, sets.visual, sets.queries)))
            with watching(self.network, part, self.layers) as looks:
                out = self.network(**inputs)
            parts.append(self._noted(looks, part, rows[first:last]))
            first = last
            return out

        found = plain(watched, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
        self._looks = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return found

    def _calculate_rewards(
        self, inputs: Any, prompts: list[Any], completions: Any, completion_ids_list: list[list[int]]
    ) -> Any:
        if self._looks is None:
            self._looks = self._look(prompts, completion_ids_list)
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    def _sets_of_pass(
        self,
        asked: list[Any],
        ids: Int[Tensor, "batch seq"],
        mask: Int[Tensor, "batch seq"],
        n_completion: int,
    ) -> tuple[Sets, Bool[Tensor, "batch seq"]]:
        """Sets and measured rows of TRL's layout: left-padded prompts, then right-padded completions."""
        roles = torch.full_like(ids, int(Role.padding))
        roles[:, -n_completion:] = (
            mask[:, -n_completion:] * Role.response + (1 - mask[:, -n_completion:]) * Role.padding
        )
        previous: Any = None
        labelled = torch.empty(0)
        for item, prompt in enumerate(asked):
            if item == 0 or prompt != previous:  # rollouts of one prompt stand side by side
                encoded = encode(
                    self.processor,
                    [_prompt(prompt)],
                    template_options=self.template_options,
                    text_tokens=self.text_tokens,
                )
                labelled, own = encoded.roles[0].to(ids), encoded.inputs["input_ids"][0].to(ids)
                previous = prompt
            real = mask[item].bool()
            real[-n_completion:] = False
            if not torch.equal(ids[item][real], own):
                raise VaslabError(
                    f"prompt {item} was encoded to {int(real.sum())} tokens by TRL and {len(own)} by vaslab, so its "
                    "roles are not known; pass the model's own processor, with its own chat template"
                )
            roles[item][real] = labelled
        return self._sets(roles)

    def _sets(self, roles: Int[Tensor, "batch seq"]) -> tuple[Sets, Bool[Tensor, "batch seq"]]:
        sets = paper_sets(roles, "response")
        if self.shaping.form != "as_released":
            return sets, sets.queries
        real = roles != Role.padding
        return Sets(real & (real.cumsum(1) == 1), sets.visual, sets.queries), real

    @torch.no_grad()
    def _look(self, prompts: list[Any], completion_ids: list[list[int]]) -> dict[str, Tensor]:
        """Masses of completions by a forward of their own."""
        training = self.network.training
        size = self.args.per_device_train_batch_size if training else self.args.per_device_eval_batch_size
        parts = []
        with disable_gradient_checkpointing(self.network, cast(Any, self.args.gradient_checkpointing_kwargs)):
            for first in range(0, len(prompts), size):
                inputs, roles = self._answered(
                    prompts[first : first + size], completion_ids[first : first + size]
                )
                sets, rows = self._sets(roles)
                with watching(self.network, sets, self.layers) as looks, self.accelerator.autocast():
                    self.network(**inputs, use_cache=False, logits_to_keep=1)
                parts.append(self._noted(looks, sets, rows))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _answered(
        self, prompts: list[Any], completion_ids: list[list[int]]
    ) -> tuple[dict[str, Tensor], Int[Tensor, "batch seq"]]:
        """Inputs and roles in TRL's layout. A sampled placeholder of a video stays the plain token that it is there."""
        encoded = encode(
            self.processor,
            [_prompt(prompt) for prompt in prompts],
            template_options=self.template_options,
            text_tokens=self.text_tokens,
        ).to(self.accelerator.device)
        told = pad_sequence([torch.tensor(ids) for ids in completion_ids], True, -1).to(encoded.roles)
        real = told >= 0
        added = {
            "input_ids": told.where(real, tokenizer_of(self.processor).pad_token_id),
            "attention_mask": real.long(),
            "mm_token_type_ids": torch.zeros_like(told),
        }
        grown = {name: torch.cat([encoded.inputs[name], value], 1) for name, value in added.items()}
        roles = torch.where(real, int(Role.response), int(Role.padding))
        return {**encoded.inputs, **grown}, torch.cat([encoded.roles, roles], 1)

    def _noted(self, looks: Looks, sets: Sets, rows: Bool[Tensor, "batch row"]) -> dict[str, Tensor]:
        """What is kept of a forward: the summary of its masses, and the weights of tokens that they give."""
        on_system, on_visual = looks.masses()
        self.note_anchors(on_visual, on_system, sets.queries)
        return self._summary(on_system, on_visual, rows)

    def _summary(
        self,
        on_system: Float[Tensor, "layer batch head row"],
        on_visual: Float[Tensor, "layer batch head row"],
        rows: Bool[Tensor, "batch row"],
    ) -> dict[str, Tensor]:
        """The ungated reward, the paper's raw ratio, and the mean masses of the measured rows, for each completion."""
        count = rows.sum(-1).clamp(min=1)
        means = [(mass.mean((0, 2)) * rows).sum(-1) / count for mass in (on_visual, on_system)]
        form = "ratio" if self.shaping.form != "as_released" else "as_released"
        return {
            "reward": visual_reward(on_visual, on_system, rows, self.shaping.form, self.shaping.cap),
            "raw": visual_reward(on_visual, on_system, rows, form),
            "visual_mass": means[0],
            "system_mass": means[1],
        }


def _prompt(messages: Any) -> Prompt:
    """A prompt of TRL's messages, pictures inside."""
    return Prompt.chat(
        Turn(
            message["role"],
            message["content"]
            if isinstance(message["content"], str)
            else [part["image"] if part["type"] == "image" else part["text"] for part in message["content"]],
        )
        for message in messages
    )


def _refuse(model: Any, args: GRPOConfig, options: dict[str, Any]) -> None:
    """Raise UsageError for what GRPOTrainer would take, and rewards, pictures or a kill would not survive."""
    refuse_unloaded(model, options.get("processing_class"))
    side = tokenizer_of(options["processing_class"]).padding_side
    if side != "left":
        raise UsageError(
            f"the processor pads on the {side}: TRL would give shorter prompts of a batch the positions of others; set "
            "processor.tokenizer.padding_side = 'left'"
        )
    if options.get("reward_funcs") is not None or args.reward_weights is not None:
        raise UsageError(
            "reward_funcs or reward_weights are given; the reward is VarsConfig's: set lambda_v and lambda_f"
        )
    refuse_conflicts(args, "VARS", other_forwards(args))
    refuse_dropout(model.config.get_text_config())
    period = (args.steps_per_generation or 1) * args.num_iterations
    strategy = str(SaveStrategy(args.save_strategy).value)
    if strategy not in ("no", "steps"):
        raise UsageError(
            f"save_strategy='{strategy}' may cut through a generation, so that a resumed run would "
            "differ; set save_strategy='steps', with save_steps"
        )
    if strategy == "steps" and args.save_steps * args.gradient_accumulation_steps % period:
        raise UsageError(
            f"save_steps={args.save_steps} cuts through generations, which {period} batches share, so that a resumed "
            f"run would differ; set save_steps to a multiple of {_least(period, args.gradient_accumulation_steps)}"
        )


def _least(period: int, accumulate: int) -> int:
    """The fewest optimiser steps that end with a generation's last batch."""
    return next(steps for steps in range(1, period + 1) if steps * accumulate % period == 0)
