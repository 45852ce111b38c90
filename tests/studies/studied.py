"""Studies by several processes, studies that are killed (SIGKILL) at random moments, and runs that are killed at chosen
points, against unbroken ones.

Usage: python studied.py MODEL FOLDER KILLS, prints one JSON object. A process of its own, because it forks: with one
thread, so that no thread pool is lost in the child. The model is loaded and proved once, before the forks.
"""

import gc
import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from killed import at_call, digests, killed_at_each_point

from vaslab.benchmarks import find_benchmark
from vaslab.errors import VaslabError
from vaslab.studies import asking, measure, study, work
from vaslab.studies.study_config import DataEntry, ModelEntry, StudyConfig

TABLE = ("table.csv", "table.parquet")
WAIT = 120.0


def begun(folder):
    """How many processes have rows in the run that is in hand."""
    files = [*folder.glob("runs/*/items.jsonl"), *folder.glob("runs/*/shards/rows-1.jsonl")]
    return sum(file.stat().st_size > 0 for file in files)


def at_call_when(function, number, ready):
    """`function`, but its call `number` (from 1) does not begin before `ready()`."""
    calls = 0

    def waiting(*arguments, **options):
        nonlocal calls
        calls += 1
        deadline = time.monotonic() + WAIT
        while calls == number and not ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        return function(*arguments, **options)

    return waiting


def after_both_began(function, folder):
    """`function`, but from its second call on not before both processes have written rows."""
    return at_call_when(function, 2, lambda: begun(folder) >= 2)


def dies_at_third(folder):
    """Asking that kills its process at its third call, when both have rows; says so beside the study first."""

    def said():
        folder.with_suffix(".dying").touch()
        return True

    return after_both_began(at_call_when(at_call(asking.answer, 3), 3, said), folder)


def forked(job):
    """Run `job` in a child, which ends with its code; return the child's id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = job()
        finally:
            os._exit(code)
    return child


def ended(child):
    """Wait for a child; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def process(config, rank=0, world=1, arm=lambda: None):
    """What one process of a study does, as a job for `forked`."""

    def job():
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
        arm()
        try:
            outcomes = study.study(config)
        except VaslabError as error:
            Path(config.out).with_suffix(f".{rank}.error").write_text(str(error))
            return error.exit_code
        return int(any(each.error for each in outcomes))

    return job


def together(config, arm=None):
    """Two processes on one study; return how each ended."""
    folder = Path(config.out)

    def wait():
        asking.answer = after_both_began(asking.answer, folder)

    arms = [wait, wait] if arm is None else arm
    return [ended(each) for each in [forked(process(config, rank, 2, arms[rank])) for rank in (0, 1)]]


def seen(config):
    """Everything that a study leaves, times aside, and who asked how many items."""
    folder = Path(config.out)
    runs = sorted((folder / "runs").iterdir())
    sessions = [json.loads((run / "environment.json").read_text())["sessions"] for run in runs]
    return {
        "digests": {run.name: digests(run) for run in runs if not run.name.startswith(".")},
        "table": {name: (folder / name).read_bytes().hex() for name in TABLE},
        "left": [path.name for run in runs for path in run.iterdir() if path.name == "shards"],
        "items": [each[-1].get("items") for each in sessions],
        "sessions": [len(each) for each in sessions],
    }


def killed_at_random(config, kills, seconds):
    """Kill studies at random moments of their life, each until it is complete; return what they left."""
    draw = random.Random(0)
    found, done = [], 0
    while done < kills:
        mine = replace(config, out=f"{config.out}{len(found)}")
        code = None
        while code is None:
            child = forked(process(mine))
            deadline = time.monotonic() + draw.uniform(0, seconds)
            # with all kills spent, this one lives
            while code is None and (time.monotonic() < deadline or done >= kills):
                pid, status = os.waitpid(child, os.WNOHANG)
                code = os.waitstatus_to_exitcode(status) if pid else None
                time.sleep(0.001)
            if code is None:
                os.kill(child, signal.SIGKILL)
                done += ended(child) == -signal.SIGKILL
        found.append({"code": code, **seen(mine)})
    return {"kills": done, "studies": found}


def main(model, folder, kills):
    def config(name, limit=8):
        entries = (DataEntry("glyph", limit=limit, batch_size=1), DataEntry(str(folder / "mine.jsonl")))
        return StudyConfig(
            (ModelEntry(model, label="tiny"),), entries, str(folder / name), max_new_tokens=3, temperature=1
        )

    vlm = measure.load_for(config("whole").runs()[0].config)
    measure.load_for = study.load_for = lambda _: vlm
    # drawn once, before the forks, and kept out of the collections of each child
    find_benchmark("glyph").select()
    gc.freeze()
    # a helper whose main process never comes ends soon
    work.PATIENCE = WAIT
    found = {}

    started = time.monotonic()
    assert ended(forked(process(config("whole")))) == 0
    whole = time.monotonic() - started
    found["whole"] = seen(config("whole"))

    found["two"] = {"codes": together(config("two")), **seen(config("two"))}

    def helper_dies():
        asking.answer = dies_at_third(folder / "helper")

    def main_waits():
        # with the batch that it has in hand, until the helper's third is in the helper's
        asking.answer = at_call_when(asking.answer, 2, (folder / "helper.dying").exists)

    codes = together(config("helper"), [main_waits, helper_dies])
    found["helper dies"] = {"codes": codes, **seen(config("helper"))}

    def main_dies():
        asking.answer = dies_at_third(folder / "main")

    def alone():
        if (folder / "main.dying").exists():
            # once through with the open run, it waits for a main process that does not begin the next
            work.PATIENCE = 1.0
            return True
        return False

    def helper_waits():
        asking.answer = after_both_began(at_call_when(asking.answer, 3, alone), folder / "main")

    codes = together(config("main"), [main_dies, helper_waits])
    told = (folder / "main.1.error").read_text() if (folder / "main.1.error").exists() else ""
    again = together(config("main"), [lambda: None, lambda: None])
    found["main dies"] = {"codes": codes, "told": told, "again": again, **seen(config("main"))}

    found["killed"] = killed_at_random(config("killed"), kills, whole)
    found["points"] = killed_at_each_point(model, folder / "points")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
