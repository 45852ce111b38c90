"""What `vaslab measure --dry-run` and `vaslab study --dry-run` tell: the cost of each run, nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vaslab.studies.config import MeasureConfig


def costs_of(configs: Sequence[MeasureConfig], timed: bool) -> Iterator[dict[str, Any]]:
    """The cost of each run, in order; a model is read once for neighbours of it.

    Args:
        configs: the runs. A rate that one of them has left behind serves all of its model and data.
        timed: ask a batch of a run whose rate is not known.
    """
    from vaslab.studies.cost import cost, measured_rate, shape_of, timed_rate
    from vaslab.studies.measure import load_for

    held: tuple[tuple[Any, ...], Any] | None = None
    for config in configs:
        alike = [config, *(each for each in configs if _speed(each) == _speed(config))]
        rate = next(filter(None, (measured_rate(each.out, each.batch_size) for each in alike)), None)
        asked = timed and rate is None
        key = (config.model, config.revision, config.dtype, config.device_map)
        if held is None or held[0] not in ((*key, True), (*key, asked)):
            held = ((*key, asked), load_for(config) if asked else shape_of(config))
        if asked:
            rate = timed_rate(config, held[1])
        yield cost(config, held[1], rate)


def _speed(config: MeasureConfig) -> tuple[object, ...]:
    """What the time of an item depends on, and a run's own rate is known for."""
    return (config.model, config.revision, config.dtype, config.device_map, config.data)
