"""Run measurements that kill themselves (SIGKILL) at chosen points, go on from there, and compare with an unbroken
run."""

import json
import os
import signal
from hashlib import sha256

from vaslab.studies import ledger, measure, rows, shards, work
from vaslab.studies.config import MeasureConfig
from vaslab.studies.run import RunFolder

POINTS = (
    "before the folder is there",
    "in the first batch",
    "in the second batch",
    "while a shard is written",
    "between shard and rows",
    "within a row",
    "between two rows of a batch",
    "between two batches",
    "before the joined capture",
    "before the summary",
)


class Notes(work.Watcher):
    def __init__(self):
        self.texts, self.asked = [], 0

    def note(self, text):
        self.texts.append(text)

    def advance(self, items):
        self.asked += items


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(function, number, after=False):
    """`function`, but the process dies at its call `number` (from 1), before or after it."""
    calls = 0

    def dying(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number and not after:
            die()
        result = function(*arguments, **options)
        if calls == number:
            die()
        return result

    return dying


def torn(cut):
    """A commit whose rows reach the disk only in part."""

    def commit(self, number, done, shard):
        if number < 2:
            return whole(self, number, done, shard)
        ledger.write_shard(shard, self._shard(number))
        text = "".join(rows.line_of(row) for row in done)
        with (self.folder / "items.jsonl").open("a") as file:
            file.write(text[: cut(text)])
            file.flush()
        return die()

    whole = ledger.Ledger.commit
    ledger.Ledger.commit = commit


def arm(point):
    if point == POINTS[0]:
        RunFolder.create = at_call(RunFolder.create, 1)
    elif point in POINTS[1:3]:
        from vaslab.studies import asking

        asking.answer = at_call(asking.answer, POINTS.index(point))
    elif point == "while a shard is written":
        shards.os.fsync = at_call(os.fsync, 3)
    elif point == "between shard and rows":
        ledger.write_shard = at_call(ledger.write_shard, 3, after=True)
    elif point == "within a row":
        torn(lambda text: len(text) - 30)
    elif point == "between two rows of a batch":
        torn(lambda text: text.index("\n") + 1)
    elif point == "between two batches":
        ledger.Ledger.commit = at_call(ledger.Ledger.commit, 2, after=True)
    elif point == "before the joined capture":
        ledger.join_captures = at_call(ledger.join_captures, 1)
    elif point == "before the summary":
        measure.summarise = at_call(measure.summarise, 1)


def in_child(work):
    """Run `work` in a child; return (killed, what it returned)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            json.dump(work(), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return killed, json.loads(text) if text else None


def digests(run):
    files = [run / "items.jsonl", run / "summary.json", *sorted((run / "capture.zarr").rglob("*"))]
    return {
        str(file.relative_to(run)): sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()
    }


def left(run):
    return sorted(path.name for path in run.iterdir()) if run.exists() else None


def killed_at_each_point(model, folder):
    """What each kill left, and what the run that went on made of it. The model is loaded already: see studied.py."""

    def run(name, point=None):
        def work():
            if point:
                arm(point)
            notes = Notes()
            config = MeasureConfig(
                model, str(folder / name), data="glyph", limit=7, batch_size=2, max_new_tokens=2
            )
            measure.measure(config, watch=notes)
            return {"notes": notes.texts, "asked": notes.asked}

        return work

    found = {}
    in_child(run("whole"))
    found["whole"] = digests(folder / "whole")
    for number, point in enumerate(POINTS):
        name = f"run{number}"
        killed, _ = in_child(run(name, point))
        after_kill = left(folder / name)
        _, again = in_child(run(name))
        found[point] = {
            "killed": killed,
            "after_kill": after_kill,
            "after": left(folder / name),
            "beside": sorted(path.name for path in folder.glob(f".{name}*")),
            "resumed": again,
            "digests": digests(folder / name),
        }
    _, found["again"] = in_child(run(name))
    return found
