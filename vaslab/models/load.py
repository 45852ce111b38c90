"""Load a model by organism name, folder or hub id: safetensors only, no code from the hub, no network unless
asked for."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.processing_utils import ProcessorMixin

from vaslab.errors import MissingError, UsageError, VaslabError, one_line
from vaslab.models.adapter import Adapter, read_adapter, with_adapter
from vaslab.models.families import Family, family_of
from vaslab.models.located import cached_folder, locate
from vaslab.models.vlm import Vlm
from vaslab.prompts.processor import QwenImageProcessor

_DTYPES = {
    "auto": "auto",
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def load_model(
    name: str | Path,
    *,
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    revision: str | None = None,
    offline: bool | None = None,
) -> Vlm:
    """Load a model and its processor without proving it; `vaslab.load` proves too.

    Args:
        name: `organism:NAME`, a folder in the Hugging Face form, a LoRA adapter's folder (its base is named inside),
            or a hub id.
        dtype: `auto` (that of the checkpoint), `float32`, `float16` or `bfloat16`.
        device_map: as in transformers; `"auto"` spreads a large model. None keeps the CPU.
        revision: branch, tag or commit of a hub id.
        offline: None and True read only what is on disk (a hub id: what was downloaded before); False may
            download.

    Raises:
        UsageError: an unknown organism, dtype or family.
        MissingError: no such folder, a hub id that is not on disk, no safetensors, an adapter without its base.
        VaslabError: a checkpoint that transformers cannot read, an adapter that does not belong to its base.
    """
    adapter = read_adapter(str(name))
    if adapter is not None:
        return _adapted(adapter, str(name), dtype, device_map, revision, offline)
    if dtype not in _DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}; one of {', '.join(_DTYPES)}")
    _check_devices(device_map)
    source, local = locate(str(name))
    cached = not local and offline is not False
    if cached:
        folder = cached_folder(source, revision)
        if folder is None:
            raise MissingError(
                f"{name} is no folder and is not in the local Hugging Face cache; allow the download (--online, or "
                "offline=False), or give a folder"
            )
        source = folder
    hub = {
        "revision": revision,
        "local_files_only": local or offline is not False,
        "trust_remote_code": False,
    }
    try:
        config = AutoConfig.from_pretrained(source, **hub)
        family = family_of(config.model_type)
        processor = _processor(source, family, hub)
        _check_fit(str(name), processor, config)
        model = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=_DTYPES[dtype],
            device_map=device_map,
            use_safetensors=True,
            attn_implementation="sdpa",
            **hub,
        )
    except OSError as error:
        raise _missing(str(name), local, offline, error) from error
    except (ValueError, SafetensorError) as error:
        raise VaslabError(f"{name} cannot be loaded: {_line(error)}") from error
    model.eval()
    commit = getattr(config, "_commit_hash", None)
    if cached:
        model.config._name_or_path = model.name_or_path = str(name)
        commit = Path(source).name
    elif local and commit is None and device_map != "meta":
        commit = _weights_digest(source)
    return Vlm(str(name), commit or "not known", model, processor, family)


def _adapted(
    adapter: Adapter,
    name: str,
    dtype: str,
    device_map: str | dict[str, Any] | None,
    revision: str | None,
    offline: bool | None,
) -> Vlm:
    """Load an adapter's base, and put the adapter in."""
    if read_adapter(adapter.base) is not None:
        raise UsageError(
            f"{name} is an adapter of {adapter.base}, which is an adapter too; merge that into its base with peft, and "
            "name the merged model as base_model_name_or_path"
        )
    try:
        vlm = load_model(
            adapter.base,
            dtype=dtype,
            device_map=device_map,
            revision=revision or adapter.revision,
            offline=offline,
        )
    except MissingError as error:
        raise MissingError(
            f"{name} is a LoRA adapter of {adapter.base}, which is not there ({error}); base_model_name_or_path in its "
            "adapter_config.json says where the base is"
        ) from error
    processor = vlm.processor
    if adapter.has_processor:
        try:
            processor = _processor(str(adapter.folder), vlm.family, {"local_files_only": True})
        except (OSError, ValueError) as error:
            raise VaslabError(f"the processor of {name} cannot be read: {_line(error)}") from error
        _check_fit(name, processor, vlm.model.config)
    if device_map == "meta":
        return Vlm(name, vlm.revision, vlm.model, processor, vlm.family)
    model = with_adapter(vlm.model, adapter).eval()
    return Vlm(name, f"{vlm.revision}+{_weights_digest(str(adapter.folder))}", model, processor, vlm.family)


def _check_devices(device_map: str | dict[str, Any] | None) -> None:
    """Refuse a GPU that is not there before anything is read."""
    asked = device_map.values() if isinstance(device_map, dict) else [device_map]
    if any(str(device).startswith("cuda") for device in asked) and not torch.cuda.is_available():
        raise MissingError(
            f"device_map={device_map!r} asks for a GPU and torch finds none; leave it out for the CPU, or use auto"
        )


def _check_fit(name: str, processor: Any, config: Any) -> None:
    """Refuse a processor that cuts pictures or names placeholders in another way than the model reads them."""
    images, vision = processor.image_processor, config.vision_config
    pairs = {
        "merge_size": (images.merge_size, vision.spatial_merge_size),
        "patch_size": (images.patch_size, vision.patch_size),
        "temporal_patch_size": (images.temporal_patch_size, vision.temporal_patch_size),
        "image token id": (processor.image_token_id, config.image_token_id),
    }
    wrong = [
        f"{what} is {ours} there and {theirs} in the model"
        for what, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    if wrong:
        raise VaslabError(
            f"the processor of {name} does not belong to its model: {'; '.join(wrong)}; put the model's own "
            "processor files beside its weights"
        )
    if not processor.tokenizer("a", add_special_tokens=False)["input_ids"]:
        raise MissingError(
            f"{name} has no tokenizer files; put tokenizer.json and tokenizer_config.json beside its weights"
        )


def _processor(source: str, family: Family, hub: dict[str, Any]) -> ProcessorMixin:
    loader = QwenImageProcessor if family.image_only_processor else AutoProcessor
    processor = loader.from_pretrained(source, **hub)
    processor.tokenizer.padding_side = "left"
    return processor


def _missing(name: str, local: bool, offline: bool | None, error: OSError) -> MissingError:
    if local:
        return MissingError(
            f"{name} is incomplete ({_line(error)}); vaslab reads safetensors weights with config and processor "
            "beside them: write the folder again with save_pretrained"
        )
    if offline is not False:
        return MissingError(
            f"the local Hugging Face cache holds {name} in part ({_line(error)}); allow the download (--online, or "
            "offline=False)"
        )
    return MissingError(
        f"{name} could not be fetched ({_line(error)}); check the id, the revision and your access"
    )


def _line(error: BaseException) -> str:
    text = one_line(error)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _weights_digest(source: str) -> str:
    """Digest of a folder's weights, so that a run names exactly what it measured."""
    digest = sha256()
    for file in sorted(Path(source).glob("*.safetensors")):
        with file.open("rb") as stream:
            while block := stream.read(1 << 24):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"
