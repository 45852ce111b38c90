"""What a measurement is told: one frozen dataclass behind the command line, the YAML file and Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from vaslab.benchmarks import BENCHMARKS, Benchmark, Selection, find_benchmark
from vaslab.benchmarks.own import OwnPicture
from vaslab.capture.sampling import Sampling
from vaslab.errors import MissingError, UsageError, one_line
from vaslab.models.located import ORGANISM
from vaslab.prompts.roles import QUERY_ROLES

WHERE = ("out", "offline")
"""Fields that say where things lie, not what is measured: a run may go on with other ones."""


@dataclass(frozen=True)
class MeasureConfig:
    """One model, one set of items, one run folder.

    Args:
        model: `organism:NAME`, a folder, or a hub id.
        out: the run folder.
        data: a benchmark's name or a FILE.jsonl; or else `image` and `question`.
        image: pictures of one question of your own.
        question: that question.
        system: the system prompt of every item, in place of its own; None leaves it to the item, or to the chat
            template.
        limit: how many items; None takes all.
        queries: query roles to measure, the first of them is the one that tables show.
        batch_size: items in one forward. Batches are fixed by the item list.
        max_new_tokens: longest answer.
        temperature: 0 is greedy decoding; above it, answers are drawn.
        top_p: of drawn answers: the probability that the tokens kept reach together.
        top_k: of drawn answers: how many tokens are kept; 0 keeps all.
        seed: of the selection of items and of every random number drawn.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        device_map: as in transformers; None keeps the CPU.
        revision: of a hub id.
        offline: None and True read only what is on disk; False may download.

    Raises UsageError for values that no run can have.
    """

    model: str
    out: str
    data: str | None = None
    image: tuple[str, ...] = ()
    question: str | None = None
    system: str | None = None
    limit: int | None = None
    queries: tuple[str, ...] = ("user",)
    batch_size: int = 8
    max_new_tokens: int = 64
    temperature: int | float = 0.0
    top_p: int | float = 1.0
    top_k: int = 0
    seed: int = 0
    dtype: str = "auto"
    device_map: str | None = None
    revision: str | None = None
    offline: bool | None = None

    def __post_init__(self) -> None:
        own = bool(self.image) or self.question is not None
        if self.data and own:
            raise UsageError("--data and --image/--question exclude each other; leave one of them out")
        if not self.data and not own:
            raise UsageError('nothing to measure; add --data NAME, or --image PICTURE --question "..."')
        for role in self.queries:
            if role not in QUERY_ROLES:
                close = get_close_matches(role, QUERY_ROLES, n=1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise UsageError(f"unknown query role {role!r}; {hint}expected {', '.join(QUERY_ROLES)}")
        if not self.queries or len(set(self.queries)) < len(self.queries):
            raise UsageError(f"queries are {self.queries}; expected each of {', '.join(QUERY_ROLES)} once")
        for name in ("limit", "batch_size", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; expected at least 1")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(f"--temperature is {self.temperature}; expected 0 (greedy) or above")
        if self.temperature == 0 and (self.top_p, self.top_k) != (1, 0):
            raise UsageError(
                "--top-p and --top-k belong to drawn answers; add --temperature, or leave them out"
            )
        self.sampling(())

    def sampling(self, ids: Sequence[str]) -> Sampling | None:
        """Return how the batch of these items is drawn, with a seed that depends on nothing else; None is greedy."""
        if self.temperature == 0:
            return None
        digest = sha256("\n".join([str(self.seed), *ids]).encode()).digest()
        drawn = int.from_bytes(digest[:7], "big")
        return Sampling(float(self.temperature), float(self.top_p), self.top_k, drawn)

    def benchmark(self) -> Benchmark:
        """Return what is asked. Raises UsageError or MissingError where there is no such thing."""
        if self.data:
            return find_benchmark(self.data)
        return OwnPicture(self.image, self.question or "", self.system)

    def selection(self, benchmark: Benchmark) -> Selection:
        """Return the items asked, each with the system prompt of this config where it has one."""
        chosen = benchmark.select(self.limit, self.seed)
        if self.system is None:
            return chosen
        items = tuple(replace(item, system=self.system) for item in chosen.items)
        return Selection(items, chosen.total, chosen.words)

    def seen_from(self, folder: Path) -> MeasureConfig:
        """Return the config with relative paths that lead somewhere from `folder` made absolute.

        What lies there is what was meant, whatever the working folder holds under the same name.
        """

        def found(path: str) -> str:
            there = folder / path
            return str(there) if path and there.exists() else path

        model, data = self.model, self.data
        if not model.startswith(ORGANISM):
            model = found(model)
        if data is not None and data not in BENCHMARKS:
            name, colon, where = data.partition(":")
            data = f"{name}:{found(where)}" if colon else found(data)
        return replace(self, model=model, data=data, image=tuple(map(found, self.image)))

    def to_dict(self) -> dict[str, Any]:
        """Every field, as YAML writes it."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


FIELDS = tuple(field.name for field in fields(MeasureConfig))


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of fields; the `resolved` part of a run's own config.yaml is left out.

    Raises MissingError where there is no file, UsageError for what is no mapping or names an unknown field.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}); check --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML ({one_line(error)}); correct it") from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{path} holds no fields; write them as `name: value`, one a line")
    given = {str(key).replace("-", "_"): value for key, value in loaded.items() if key != "resolved"}
    for key in given:
        if key not in FIELDS:
            close = get_close_matches(key, FIELDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(FIELDS)}"
            raise UsageError(f"{path}: unknown key {key!r}; {hint}")
    return given
