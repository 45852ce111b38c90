"""VARD over an endpoint: what is asked, what is kept, what a kill and a busy server cost."""

import base64
import json
from io import BytesIO

import httpx
import pytest
from PIL import Image

from trainers.cli import app
from trainers.data.readers import read_records
from trainers.data.record import Record, write_records
from trainers.vard.endpoint import KEY, Endpoint, EndpointError
from trainers.vard.synthesis import ANCHOR, Limits, Rejected, run_synthesis, synthesise
from vaslab.cli.exits import run
from vaslab.errors import MissingError, UsageError

from .test_data import png

ASKED = Record("q1", (("user", "<image>What {kind} of angle?"),), (png(),), "rl", "1/2")
CHAIN = "<think>It is half.</think><answer>0.5</answer>"
ANCHORED = "<think>Look back at the angle. Half. Check the image again. Half.</think><answer>0.5</answer>"


class Server:
    """Answers by which of the three prompts it is asked; counts its calls."""

    def __init__(self, *replies, status=200, finish="stop"):
        self.replies, self.status, self.finish, self.bodies = list(replies), [], finish, []
        self.status = status if isinstance(status, list) else [status] * 100

    def __call__(self, request):
        self.bodies.append((json.loads(request.content), request.headers))
        status = self.status.pop(0)
        if status != 200:
            return httpx.Response(status, text="busy")
        choice = {"message": {"content": self.replies.pop(0)}, "finish_reason": self.finish}
        return httpx.Response(
            200, json={"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
        )

    def endpoint(self, folder, **given):
        waits = []
        made = Endpoint(
            "http://here/v1", "m", folder, transport=httpx.MockTransport(self), sleep=waits.append, **given
        )
        made.waits = waits
        return made


def text_of(body):
    return body["messages"][0]["content"][-1]["text"]


def test_three_calls_make_a_record(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, "secret")
    server = Server("A triangle.", CHAIN, ANCHORED)
    endpoint = server.endpoint(tmp_path)
    record = synthesise(ASKED, endpoint, Limits())
    assert isinstance(record, Record)
    assert (record.kind, record.answer, record.images) == ("vard", "1/2", ASKED.images)
    assert record.response == ANCHORED.replace("0.5", "1/2")  # the record's own form of the answer
    describe, reflect, anchor = (body for body, _ in server.bodies)
    picture = base64.b64decode(describe["messages"][0]["content"][0]["image_url"]["url"].partition(",")[2])
    assert Image.open(BytesIO(picture)).size == (70, 64)
    assert len(reflect["messages"][0]["content"]) == 1
    assert "A triangle." in text_of(reflect)
    assert "What {kind} of angle?" in text_of(reflect)
    assert CHAIN in text_of(anchor)
    assert anchor["messages"][0]["content"][0]["type"] == "image_url"
    assert server.bodies[0][1]["authorization"] == "Bearer secret"
    assert (endpoint.usage.fresh, endpoint.usage.prompt_tokens, endpoint.usage.completion_tokens) == (
        3,
        21,
        9,
    )


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (["d", "half"], "reflect: not of the form"),
        (["d", "<think>a</think><answer>2</answer>"], "reflect: answers '2', not '1/2'"),
        (["d", CHAIN, CHAIN], "anchor: 0 anchors, fewer than 2"),
        (["d", CHAIN, ANCHORED.replace("0.5", "3")], "anchor: answers '3'"),
        (["d", CHAIN, ANCHORED.replace("Half. ", "Half. " * 40)], "anchor: 50 words, more than 20"),
    ],
)
def test_chains_that_are_wrong_or_poor_are_rejected_with_a_reason(tmp_path, replies, reason):
    made = synthesise(ASKED, Server(*replies).endpoint(tmp_path), Limits(words=20))
    assert isinstance(made, Rejected)
    assert made.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Look back at the triangle.", 1),
        ("let me check the figure again, then look at the graph again", 2),
        ("Looking again at the corner", 1),
        ("Re-examining the diagram: yes.", 1),
        ("So x is 3. Hence the area is 4.", 0),
        ("It looks like 4.", 0),
    ],
)
def test_anchors_are_found(text, found):
    assert len(ANCHOR.findall(text)) == found


def test_a_killed_run_asks_nothing_twice(tmp_path):
    other = Record("q2", (("user", "<image>Another?"),), (png(),), "rl", "3")
    first = Server("d", CHAIN, ANCHORED, status=[200, 200, 200, 400])
    with pytest.raises(EndpointError, match="status 400: busy"):
        run_synthesis([ASKED, other], first.endpoint(tmp_path / "replies"), Limits(), tmp_path, 1)
    second = Server("<think>a</think><answer>4</answer>")
    endpoint = second.endpoint(tmp_path / "replies")
    path, rejected = run_synthesis([ASKED, other], endpoint, Limits(), tmp_path, 1)
    # the second question shows the same picture: its description is the first's
    assert (endpoint.usage.fresh, endpoint.usage.cached) == (1, 4)
    assert [each.id for each in read_records(path).require("response")] == ["q1"]
    assert [each.reason for each in rejected] == ["reflect: answers '4', not '3'"]
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["id"] == "q2"
    with pytest.raises(UsageError, match="is there already"):
        run_synthesis([ASKED], endpoint, Limits(), tmp_path, 1)


def test_a_busy_server_is_waited_for(tmp_path):
    endpoint = Server("fine", status=[429, 503, 200]).endpoint(tmp_path)
    assert endpoint.ask("hello") == "fine"
    assert endpoint.waits == [1, 2]
    silent = Server(status=[500, 500]).endpoint(tmp_path, tries=2)
    with pytest.raises(EndpointError, match=r"did not answer in 2 tries \(status 500\)"):
        silent.ask("other")


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(MissingError, match=KEY):
        Server(status=401).endpoint(tmp_path).ask("a")
    with pytest.raises(EndpointError, match="raise --max-tokens"):
        Server("cut", finish="length").endpoint(tmp_path).ask("b")
    page = Endpoint(
        "http://here",
        "m",
        tmp_path,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")),
    )
    with pytest.raises(EndpointError, match="does not answer as a chat endpoint"):
        page.ask("c")


def test_nothing_kept_is_an_error_that_names_the_reasons(tmp_path):
    with pytest.raises(UsageError, match=r"none of 1 chains was kept; .*rejected\.jsonl"):
        run_synthesis([ASKED], Server("d", "x").endpoint(tmp_path / "r"), Limits(), tmp_path, 1)


def test_the_command_draws_glyphs_or_asks_for_an_endpoint(tmp_path, capfd):
    out = tmp_path / "glyphs"
    assert run(app, ["synthesize", "--kind", "rl", "--count", "2", "--out", str(out)], "avar") == 0
    assert capfd.readouterr().out.strip() == str(out / "records.jsonl")
    assert len(read_records(out).require("answer")) == 2
    write_records([ASKED], tmp_path / "asked")
    words = ["synthesize", "--out", str(tmp_path / "made")]
    assert run(app, [*words, "--data", str(tmp_path / "asked")], "avar") == 2
    assert "--data needs --endpoint and --model" in capfd.readouterr().err
    assert run(app, [*words, "--endpoint", "http://here"], "avar") == 2
    assert "add --data FILE" in capfd.readouterr().err
