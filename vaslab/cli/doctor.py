"""`vaslab doctor MODEL`: is what vaslab says of this model, on this machine, true?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vaslab.cli.console import print_json, quiet_libraries, table


def doctor(
    model: Annotated[str, typer.Argument(help="organism:NAME, a folder, or a hub id.")] = "organism:base",
    dtype: Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.")] = "auto",
    device_map: Annotated[str | None, typer.Option(help="As in transformers.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub id.")] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline/--online", help="May a hub id be downloaded?")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on stdout in place of tables.")
    ] = False,
) -> int:
    """Prove a model: masses against independent routes, edits, and that it is left as found; then the machine."""
    quiet_libraries()
    from vaslab.capture.load import load
    from vaslab.capture.proof import prove
    from vaslab.studies.threads import fit_threads

    vlm = load(model, dtype=dtype, device_map=device_map, revision=revision, offline=offline, prove=False)
    fit_threads(vlm)
    proof = prove(vlm)
    machine = _machine()
    shape = {
        "family": vlm.family.title,
        "layers": vlm.n_layers,
        "heads": vlm.n_heads,
        "key-value heads": vlm.n_kv_heads,
        "parameters": sum(parameter.numel() for parameter in vlm.model.parameters()),
        "device": str(vlm.device),
    }
    if as_json:
        print_json({"proof": proof.to_dict(), "model": shape, "machine": machine})
    else:
        rows = [
            [
                {True: "pass", False: "FAIL", None: "report"}[check.passed],
                check.name,
                f"{check.value:.3g}",
                "" if check.limit is None else f"{check.limit:.3g}",
                check.note,
            ]
            for check in proof.checks
        ]
        title = f"Proof of {model} ({vlm.revision}, {proof.dtype})"
        table(title, ["", "check", "found", "limit", "what"], rows)
        table("Model and machine", ["", ""], [*shape.items(), *machine.items()])
    return 0 if proof.passed else 1


def _machine() -> dict[str, Any]:
    import platform

    import torch

    from vaslab.plots import browser
    from vaslab.studies.provenance import git_commit, session, versions

    here = session()
    return {
        "platform": platform.platform(),
        "cpus": here["cpus"],
        "threads": torch.get_num_threads(),
        "gpus": ", ".join(here["gpus"]) or "none",
        "browser for PNG": browser() or "none: HTML only; install Chromium, or set BROWSER_PATH",
        "commit": git_commit() or "not a checkout",
        **versions(),
    }
