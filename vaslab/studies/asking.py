"""Ask one batch: read pictures, let the model answer, measure, grade; what fails is a row with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
import xarray as xr

from vaslab.benchmarks import Benchmark, Item
from vaslab.benchmarks.item import graded
from vaslab.capture.capture import Answer, answer
from vaslab.capture.sampling import Sampling
from vaslab.errors import VaslabError, one_line
from vaslab.models import Vlm
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt
from vaslab.studies.config import MeasureConfig
from vaslab.studies.rows import Row
from vaslab.studies.treatment import PLAIN, Around, Treatment

Ask: TypeAlias = Callable[[Sequence[Item]], tuple[list[Row], xr.Dataset | None]]
"""Batch of items -> a row for each, and the capture of those that could be measured."""


def asker(vlm: Vlm, benchmark: Benchmark, config: MeasureConfig, treatment: Treatment = PLAIN) -> Ask:
    """Return the function that asks batches of one model under a treatment; the items are as it left them."""

    def ask(items: Sequence[Item]) -> tuple[list[Row], xr.Dataset | None]:
        prompts, errors = _readable(items)
        # the whole batch's own seed: neither kills nor processes change what is drawn
        sampling = config.sampling([item.id for item in items])
        told, dataset = _answered(vlm, prompts, errors, config, sampling, treatment.around)
        return [_row(benchmark, item, told.get(item.id), errors.get(item.id)) for item in items], dataset

    return ask


def _readable(items: Sequence[Item]) -> tuple[dict[str, Prompt], dict[str, str]]:
    """Return the prompts whose pictures can be read, by item, and why the others cannot."""
    prompts: dict[str, Prompt] = {}
    errors: dict[str, str] = {}
    for item in items:
        try:
            prompts[item.id] = item.prompt()
        except (VaslabError, OSError) as error:
            errors[item.id] = one_line(error)
    return prompts, errors


def _answered(
    vlm: Vlm,
    prompts: dict[str, Prompt],
    errors: dict[str, str],
    config: MeasureConfig,
    sampling: Sampling | None,
    around: Around,
) -> tuple[dict[str, Answer], xr.Dataset | None]:
    """Answer the batch; where an item cannot be encoded, move it to `errors` and answer the others."""
    if not prompts:
        return {}, None
    try:
        with around(list(prompts)):
            answers, dataset = answer(
                vlm,
                list(prompts.values()),
                config.queries,
                max_new_tokens=config.max_new_tokens,
                sampling=sampling,
                item_ids=list(prompts),
            )
        return dict(zip(prompts, answers, strict=True)), dataset
    except VaslabError:
        unfit = _unfit(vlm, prompts)
        if not unfit:
            raise
        errors |= unfit
        rest = {name: prompt for name, prompt in prompts.items() if name not in unfit}
        return _answered(vlm, rest, errors, config, sampling, around)
    except torch.OutOfMemoryError as error:
        raise VaslabError(
            f"out of memory on {vlm.device} with {len(prompts)} items at once; begin again with a smaller "
            "--batch-size and --overwrite, or with --dtype bfloat16 or --device-map auto"
        ) from error


def _unfit(vlm: Vlm, prompts: dict[str, Prompt]) -> dict[str, str]:
    """Return why prompts cannot be encoded, for those that cannot."""
    errors = {}
    for name, prompt in prompts.items():
        try:
            encode(vlm.processor, [prompt])
        except VaslabError as error:
            errors[name] = one_line(error)
    return errors


def _row(benchmark: Benchmark, item: Item, told: Answer | None, error: str | None) -> Row:
    row: dict[str, Any] = {
        "id": item.id,
        "picture": item.picture_id,
        "kind": item.kind,
        "system": item.system,
        "question": item.question,
        "answer": item.answer,
        "response": None,
        "n_tokens": None,
        "finished": None,
        "extracted": None,
        "right": None,
        "reason": "",
        "guessed": False,
        "by": None,
        "error": error or "",
        "error_kind": _kind_of(error or "", item),
    }
    if told is not None:
        grade = graded(benchmark, item, told.text)
        row |= {
            "response": told.text,
            "n_tokens": len(told.ids),
            "finished": told.finished,
            "extracted": grade.extracted,
            "right": grade.right,
            "reason": grade.reason,
            "guessed": grade.guessed,
            "by": grade.by,
        }
    return row


def _kind_of(error: str, item: Item) -> str:
    """Return an error without what only this item has in it, so that equal ones are counted together."""
    if error == item.broken and error:
        return error.split(":")[0].split(" '")[0].split(" (")[0]
    for picture in item.pictures:
        if isinstance(picture, Path):
            error = error.replace(f" at {picture}", " at its path").replace(str(picture), "its picture")
    return error
