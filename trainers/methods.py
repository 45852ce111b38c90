"""The methods' own settings, read off the fields of a run."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeAlias

from trainers.atrl import AtrlConfig
from trainers.losses import AgtoConfig
from trainers.rewards import VarsConfig
from trainers.runs import GrpoRun, SftRun
from trainers.vppo import VppoConfig
from vaslab.errors import UsageError

Credit: TypeAlias = VppoConfig | AtrlConfig | None
"""How a completion's tokens share its advantage; None gives every token the whole."""

CREDITS: dict[str, type[VppoConfig] | type[AtrlConfig]] = {"vppo": VppoConfig, "atrl": AtrlConfig}


def agto_of(run: SftRun) -> AgtoConfig:
    """What the run guides. Raises UsageError as `AgtoConfig` does."""
    return AgtoConfig(run.alpha, run.beta, run.layers, run.heads, run.queries, run.variant)


def shaping_of(run: GrpoRun) -> VarsConfig:
    """The run's reward. Raises UsageError as `VarsConfig` does."""
    return VarsConfig(run.lambda_v, run.lambda_f, run.form, run.cap, run.gated, run.grader, run.layers)


def credit_of(run: GrpoRun) -> Credit:
    """The credit that a run asks for, its settings with the papers' defaults.

    Raises UsageError for an unknown name, and for a setting of a method that is not asked for.
    """
    if run.credit is not None and run.credit not in CREDITS:
        raise UsageError(f"credit is {run.credit!r}; expected one of {', '.join(CREDITS)}, or none")
    found: Credit = None
    for name, kind in CREDITS.items():
        settings = {field.name: getattr(run, f"{name}_{field.name}") for field in fields(kind)}
        given = {field: value for field, value in settings.items() if value is not None}
        if name == run.credit:
            found = kind(**given)
        elif given:
            raise UsageError(
                f"{name}_{next(iter(given))} is given and credit is {run.credit}; set credit to {name}, or leave it out"
            )
    return found
