"""Under which heading `--help` shows each option of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Panels = Mapping[str, Sequence[str]]

_RUN = ("seed", "save_steps", "keep", "log_steps")
_MODEL = ("lora_rank", "freeze_vision", "checkpointing", "dtype", "text_tokens", "online")
_STEPS = ("lr", "schedule", "epochs", "max_steps")

SFT: Panels = {
    "What is trained, on what": ("model", "data", "out"),
    "Guidance (AGTO)": ("alpha", "beta", "layers", "heads", "queries", "variant"),
    "Steps": (*_STEPS, "warmup", "batch", "per_device"),
    "Model": _MODEL,
    "Run": _RUN,
}
GRPO: Panels = {
    "What is trained, on what": ("model", "data", "out"),
    "Reward (VARS)": ("lambda_v", "lambda_f", "form", "cap", "gated", "grader", "layers"),
    "Credit of tokens (VPPO, AT-RL)": (
        "credit",
        "vppo_tokens",
        "vppo_low",
        "vppo_high",
        "vppo_masked",
        "vppo_kl",
        "atrl_clusters",
        "atrl_sharpness",
    ),
    "Answers": ("prompts", "rollouts", "max_new_tokens", "temperature", "vllm"),
    "Steps": (*_STEPS, "iterations", "per_device", "kl"),
    "Model": _MODEL,
    "Run": _RUN,
}
SYNTHESIZE: Panels = {
    "Records of the glyph world": ("out", "kind", "count", "seed"),
    "VARD chains by a model": ("data", "model", "endpoint", "temperature", "max_tokens", "workers", "online"),
    "Chains that are kept": ("grader", "anchors", "words"),
    "Cost": ("price_in", "price_out"),
}
STAGES: Panels = {"Stages": ("out", "base", "seeds", "records", "prompts", "workers")}
