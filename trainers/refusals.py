"""What a run is refused for before any weight is read: its settings, its model, its records, what is not installed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainers.looking import refuse_dropout
from trainers.methods import agto_of, credit_of, shaping_of
from trainers.runs import GrpoRun, SftRun
from vaslab.errors import MissingError, UsageError
from vaslab.models import Vlm
from vaslab.prompts.vocabulary import Vocabulary

_COUNTS = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
_LAUNCHED = (*_COUNTS, "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells each of its processes."""
_MLLAMA = re.compile(r"llama-3\.2-\d+b-vision", re.IGNORECASE)


def require_packages(run: SftRun | GrpoRun) -> None:
    """Raise MissingError for the first package that the run needs and that is not installed."""
    for name in ("trl", "peft", *(["vllm"] if isinstance(run, GrpoRun) and run.vllm else [])):
        if find_spec(name) is None:
            what = (
                "give --no-vllm, or install a vLLM that TRL supports"
                if name == "vllm"
                else "install vaslab[train]"
            )
            raise MissingError(f"the package {name} is not installed; {what}")


def check_launch(environment: Mapping[str, str]) -> None:
    """Raise UsageError for a process that is told to be one of several, and not how they find each other."""
    told = {name: environment[name] for name in _LAUNCHED if name in environment}
    if told.get("RANK", "0") == "0" and told.get("WORLD_SIZE", "1") == "1":
        return
    wrong = [f"{name} is not set" for name in _LAUNCHED if name not in told]
    wrong += [f"{name} is {told[name]!r}" for name in _COUNTS if name in told and not told[name].isdecimal()]
    if wrong:
        raise UsageError(
            f"the environment says that this is one of several processes, and {', '.join(wrong)}; start them with "
            "accelerate launch -m trainers, or unset RANK and WORLD_SIZE"
        )


def refuse_unloaded(model: Any, processor: Any) -> None:
    """Raise UsageError for a model that is only named, or a trainer without its processor."""
    if isinstance(model, str):
        raise UsageError(
            f"model is the name {model!r}; pass a loaded model (load_model(name).model), which can be checked before "
            "training starts"
        )
    if processor is None:
        raise UsageError(
            "processing_class is missing; pass the model's processor (load_model(...).processor)"
        )


def refuse_conflicts(args: Any, method: str, conflicts: Mapping[str, tuple[bool, str]]) -> None:
    """Raise UsageError for the first setting of TRL's config under which a method would train something else.

    Args:
        args: TRL's config.
        method: what the message calls the method.
        conflicts: for each setting whether it conflicts, and why, with what to set instead.
    """
    for name, (conflicting, reason) in conflicts.items():
        if conflicting:
            raise UsageError(f"{name}={getattr(args, name)!r} does not go with {method}: {reason}")


def other_forwards(args: Any) -> dict[str, tuple[bool, str]]:
    """Conflicts of settings that put another forward in the place of the one that is measured."""
    return {
        "use_liger_kernel": (
            args.use_liger_kernel,
            "it replaces the forward that is measured; set it to False",
        ),
        "torch_compile": (
            args.torch_compile,
            "hooks in compiled layers are not supported; set it to False",
        ),
    }


def check_settings(run: SftRun | GrpoRun) -> None:
    """Raise UsageError for settings that a method does not have, whatever the model and the records."""
    if isinstance(run, SftRun):
        agto_of(run)
    else:
        shaping_of(run)
        credit_of(run)


def refuse_model(name: str) -> None:
    """Raise UsageError for a model that cannot be trained, before anything of it is read or fetched."""
    folder = Path(name).expanduser()
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise UsageError(
            f"{name} is a LoRA adapter, whose base would stay as it is; train on from the merged model (the "
            "checkpoint/ beside an adapter/ that avar wrote)"
        )
    try:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    except (OSError, ValueError, AttributeError):
        held = ""
    if held == "mllama" or _MLLAMA.search(name):
        raise UsageError(
            f"{name} is refused: Llama-3.2-Vision sees the picture in cross-attention layers of its own, so that "
            "visual and system tokens never share a softmax: AGTO's losses and the reward of VARS have no meaning "
            "there, and TRL's GRPO drops its picture inputs. What works: a Qwen-VL model, as in "
            "trainers/configs/qwen2.5-vl-7b-sft.yaml; or plain supervised training of it with TRL's own SFTTrainer"
        )


def check_model(run: SftRun | GrpoRun, vlm: Vlm) -> None:
    """Hold a run against its model's config and tokenizer; the weights may be on the meta device.

    Raises UsageError for a layer or head that the model does not have, dropout of attention, and a text token that the
    tokenizer does not have or that structures a sequence.
    """
    if isinstance(run, SftRun):
        agto_of(run).heads_by_layer(vlm.n_layers, vlm.n_heads)
    else:
        shaping_of(run).layers_of(vlm.n_layers)
    refuse_dropout(vlm.text_config)
    Vocabulary(vlm.processor, frozenset(run.text_tokens))


def check_records(run: SftRun | GrpoRun, records: int) -> None:
    """Raise UsageError for a run that would train nothing on so many records."""
    if isinstance(run, GrpoRun) and run.prompts > records:
        raise UsageError(
            f"prompts is {run.prompts} and there are {records} records: not one batch would be full, and nothing "
            f"trained; set prompts to {records} or fewer, or give more records"
        )
