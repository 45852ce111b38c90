"""`avar stages`: every stage of every seed, then their table; the folder's path on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

from trainers.runs import StagesRun
from vaslab.cli.console import quiet_libraries


def stages(config: StagesRun) -> int:
    """Run `avar stages`."""
    from trainers.stage_table import MARKDOWN
    from trainers.stages import run_stages

    quiet_libraries()
    out = run_stages(config)
    if config.study is not None:
        print(f"\n{(Path(out) / MARKDOWN).read_text(encoding='utf-8')}", file=sys.stderr)
    print(out)
    return 0
