"""Capture: where the queries of each prompt look, per layer and head, in one forward or beside one
generation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args

import torch
import xarray as xr

from vaslab.capture.dataset import join_captures, to_dataset, versions
from vaslab.capture.decoding import generation_options, seeded
from vaslab.capture.reduce import Plan, plan, summarise
from vaslab.capture.sampling import Sampling, decoding_words
from vaslab.capture.tracing import tracing
from vaslab.errors import UsageError, VaslabError
from vaslab.models import Vlm
from vaslab.prompts.encode import encode
from vaslab.prompts.encoded import Encoded
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.roles import QUERY_ROLES

Route: TypeAlias = Literal["rows", "columns"]
ROUTES: tuple[Route, ...] = get_args(Route)
Heads = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Answer:
    """What the model wrote: its text without special tokens, its token ids, and whether it ended by itself."""

    text: str
    ids: list[int]
    finished: bool


def capture(
    vlm: Vlm,
    prompts: Sequence[Prompt],
    queries: Sequence[str] = ("user",),
    *,
    patches: Heads | None = None,
    rows: bool = False,
    responses: Sequence[Sequence[int]] | None = None,
    item_ids: Sequence[str] | None = None,
    batch_size: int = 8,
    route: str = "rows",
) -> xr.Dataset:
    """Measure prompts by one forward a batch; return a Capture (see docs/architecture.md for its variables).

    Args:
        vlm: what `vaslab.load` returned.
        prompts: what is asked; each item is one prompt.
        queries: query roles: `user` (the paper), `user_after_image`, `response` (answered prompts, or with
            `responses`).
        patches: chosen heads, (layer, head), whose maps query x image patch are kept as well.
        rows: whether the mass of every single query (mean over heads, float16) is kept as well.
        responses: generated ids for each prompt, end token included, measured by teacher forcing.
        item_ids: a name for each item; by default its number.
        batch_size: prompts in one forward.
        route: `rows` leaves every layer's output bit-equal and gives float32 mass in any dtype; `columns`
            costs less for many queries.

    Returns:
        Dataset with dims item, layer, head, query_role, key_role.

    Raises:
        UsageError: unknown query role, route or head; no prompt has the queries asked for; ids that occur
            twice.
        VaslabError: a picture or template that cannot be read; masses that are not there or do not sum to
            one.
    """
    names = _names(prompts, item_ids)
    roles = _checked_roles(queries)
    heads = _checked_heads(vlm, patches)
    _check_responses(vlm, prompts, responses)
    chosen_route = _checked_route(route)
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; expected at least 1")
    parts = []
    for start in range(0, len(prompts), batch_size):
        part = slice(start, start + batch_size)
        told = None if responses is None else responses[part]
        encoded = encode(vlm.processor, prompts[part], told).to(vlm.device)
        asked = plan(encoded, roles, route=chosen_route, patches=heads, keep_rows=rows)
        parts.append(_one_forward(vlm, encoded, asked, names[part]))
    return _with_queries(join_captures(parts))


def answer(
    vlm: Vlm,
    prompts: Sequence[Prompt],
    queries: Sequence[str] = ("user",),
    *,
    max_new_tokens: int = 64,
    sampling: Sampling | None = None,
    item_ids: Sequence[str] | None = None,
    route: str = "rows",
) -> tuple[list[Answer], xr.Dataset]:
    """Let the model answer one batch, and measure it: prompts in generation's own prefill, answers by teacher
    forcing.

    Without `sampling` decoding is greedy, the most likely token at every step. Either way temperature, top-p
    and repetition penalty of the checkpoint are set aside. Visual placeholders are never generated, for no
    picture could stand behind them.

    Returns:
        the answers, and the Capture of the batch. With `response` among the queries there is one more
        forward. The same batch with the same seed is answered with the same tokens.

    Raises:
        UsageError, VaslabError: as `capture`.
    """
    names = _names(prompts, item_ids)
    roles = _checked_roles(queries)
    chosen_route = _checked_route(route)
    in_prefill = tuple(role for role in roles if role != "response")
    encoded = encode(vlm.processor, prompts).to(vlm.device)
    asked = plan(encoded, in_prefill or ("user",), route=chosen_route)
    options = generation_options(vlm, max_new_tokens, sampling)
    with tracing(vlm) as tracer, seeded(vlm, sampling):
        layers, ids = tracer.generate(
            asked.request, lambda layer, mass: summarise(asked, layer, mass), options, **encoded.inputs
        )
    answers = [_read(vlm, row) for row in ids[:, encoded.roles.shape[1] :].tolist()]
    parts = []
    if in_prefill:
        dataset = to_dataset(asked, encoded, layers, names)
        parts.append(_finished(vlm, dataset, asked))
    if "response" in roles:
        told = capture(
            vlm,
            prompts,
            ("response",),
            responses=[each.ids for each in answers],
            item_ids=names,
            batch_size=len(prompts),
            route=route,
        )
        parts.append(told)
    return answers, _over_queries(parts).assign_attrs(decoding=decoding_words(sampling))


def _one_forward(vlm: Vlm, encoded: Encoded, asked: Plan, names: Sequence[str]) -> xr.Dataset:
    with tracing(vlm) as tracer:
        layers, _ = tracer.forward(
            asked.request, lambda layer, mass: summarise(asked, layer, mass), **encoded.inputs
        )
    return _finished(vlm, to_dataset(asked, encoded, layers, names), asked)


def _over_queries(parts: list[xr.Dataset]) -> xr.Dataset:
    """Join the prefill's and the answer's measurements of the same items along query_role."""
    if len(parts) == 1:
        return parts[0]
    joined = xr.concat(
        [part.drop_vars("n_keys") for part in parts], dim="query_role", combine_attrs="override"
    )
    joined["n_keys"] = parts[-1]["n_keys"]
    return joined


def _read(vlm: Vlm, ids: list[int]) -> Answer:
    """Cut an answer after its end token; what follows in a batch is padding."""
    ends = vlm.model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else list(ends or [])
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    told = ids if stop is None else ids[: stop + 1]
    text = vlm.processor.tokenizer.decode(told, skip_special_tokens=True)
    return Answer(text, told, finished=stop is not None)


def _names(prompts: Sequence[Prompt], item_ids: Sequence[str] | None) -> list[str]:
    if isinstance(prompts, Prompt):
        raise UsageError("prompts is one prompt; give a list of them: [prompt]")
    if not prompts:
        raise UsageError("there is nothing to measure; give at least one prompt")
    names = [str(number) for number in range(len(prompts))] if item_ids is None else list(map(str, item_ids))
    if len(names) != len(prompts):
        raise UsageError(f"{len(names)} item ids for {len(prompts)} prompts; give one id a prompt")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"items occur twice: {', '.join(twice[:5])}; give every item its own id")
    return names


def _checked_roles(queries: Sequence[str]) -> tuple[str, ...]:
    roles = (queries,) if isinstance(queries, str) else tuple(queries)
    unknown = [role for role in roles if role not in QUERY_ROLES]
    if unknown or not roles:
        raise UsageError(
            f"unknown query role {unknown or 'none'}; the query roles are {', '.join(QUERY_ROLES)}"
        )
    if len(set(roles)) < len(roles):
        raise UsageError(f"a query role is named twice in {', '.join(roles)}; name each once")
    return roles


def _check_responses(vlm: Vlm, prompts: Sequence[Prompt], responses: Sequence[Sequence[int]] | None) -> None:
    if responses is None:
        return
    if len(responses) != len(prompts):
        raise UsageError(f"{len(responses)} responses for {len(prompts)} prompts; give one response a prompt")
    vocabulary = int(vlm.text_config.vocab_size)
    outside = [token for response in responses for token in response if not 0 <= int(token) < vocabulary]
    if outside:
        raise UsageError(
            f"a response holds token id {outside[0]}, outside the vocabulary of {vocabulary}; give ids "
            f"that {vlm.name} wrote"
        )


def _checked_heads(vlm: Vlm, heads: Heads | None) -> tuple[tuple[int, int], ...]:
    if any(len(pair) != 2 for pair in heads or ()):
        raise UsageError(f"patches is {heads!r}; give heads as (layer, head), for example [(3, 0), (3, 5)]")
    chosen = tuple(sorted({(int(layer), int(head)) for layer, head in heads or ()}))
    for layer, head in chosen:
        if not (0 <= layer < vlm.n_layers and 0 <= head < vlm.n_heads):
            raise UsageError(
                f"there is no head ({layer}, {head}); {vlm.name} has layers 0 to {vlm.n_layers - 1} "
                f"and heads 0 to {vlm.n_heads - 1}"
            )
    return chosen


def _checked_route(route: str) -> Route:
    for known in ROUTES:
        if route == known:
            return known
    raise UsageError(f"unknown route {route!r}; one of {', '.join(ROUTES)}: one run keeps to one")


def _with_queries(dataset: xr.Dataset) -> xr.Dataset:
    """Refuse a capture in which no item at all has the queries asked for."""
    for role in map(str, dataset["query_role"].values):
        if int(dataset["n_queries"].sel(query_role=role).max()) == 0:
            raise UsageError(
                f"no item has {role} queries; ask for another of {', '.join(QUERY_ROLES)}"
                + (", or give the answers with `responses`" if role == "response" else "")
            )
    return dataset


def _finished(vlm: Vlm, dataset: xr.Dataset, asked: Plan) -> xr.Dataset:
    """Check the masses and write down where they come from."""
    for role in asked.query_roles:
        mass = dataset["mass"].sel(query_role=role)
        total = mass.sum("key_role").where(dataset["n_queries"].sel(query_role=role) > 0)
        worst = float(abs(total - 1).max())
        if worst > (1e-3 if asked.request.route == "rows" else 2e-2):
            raise VaslabError(
                f"the masses of the {role} queries sum to 1 only within {worst:.2g}; please report this with "
                f"the output of `vaslab doctor {vlm.name}`"
            )
    dataset.attrs |= provenance(vlm, asked.request.route)
    return dataset


def provenance(vlm: Vlm, route: str) -> dict[str, Any]:
    """What a capture's attributes say of the model and the way of measuring. JSON where a value is nested."""
    template = getattr(vlm.processor, "chat_template", None) or vlm.processor.tokenizer.chat_template
    images = vlm.processor.image_processor
    settings = ("min_pixels", "max_pixels", "size", "patch_size", "merge_size", "temporal_patch_size")
    described = {name: getattr(images, name) for name in settings if getattr(images, name, None) is not None}
    return {
        "model": vlm.name,
        "revision": vlm.revision,
        "family": vlm.family.model_type,
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "device": vlm.device.type,
        "n_kv_heads": vlm.n_kv_heads,
        "attention": "sdpa",
        "route": route,
        "template_hash": sha256(str(template).encode()).hexdigest()[:16],
        "processor": json.dumps(described, sort_keys=True, default=dict),
        "versions": json.dumps(versions(), sort_keys=True),
        "threads": torch.get_num_threads(),
    }
