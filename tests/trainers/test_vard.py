"""VARD over an endpoint: what is asked, what is kept, what a kill and a busy server cost."""

import base64
import json
import time
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from tests.benchmarks.judge_server import Chat, serving
from tests.trainers.test_data import png
from trainers.cli import app
from trainers.data.readers import read_records
from trainers.data.record import Record, write_records
from trainers.vard.endpoint import KEY, Endpoint
from trainers.vard.local import LocalModel
from trainers.vard.synthesis import ANCHOR, Limits, Rejected, run_synthesis, synthesise
from vaslab.benchmarks import math_equality
from vaslab.benchmarks.chat import PromptRefusedError
from vaslab.cli.exits import run
from vaslab.errors import UsageError, VaslabError
from vaslab.organism import glyphs

ASKED = Record("q1", (("user", "<image>What {kind} of angle?"),), (png(),), "rl", "1/2")
CHAIN = "<think>It is half.</think><answer>0.5</answer>"
ANCHORED = "<think>Look back at the angle. Half. Check the image again. Half.</think><answer>0.5</answer>"


def reply(text, **more):
    """A server's whole answer, as it sends it."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"choices": [{"message": {"content": text}, **more}], "usage": usage})


@pytest.fixture
def serve(tmp_path, monkeypatch, request):
    """Make an endpoint of a real server that takes the steps of a script; its `chat` holds what it was asked."""
    monkeypatch.delenv(KEY, raising=False)
    stack = ExitStack()
    request.addfinalizer(stack.close)  # noqa: PT021 - the runtime type checker wraps generators away

    def made(*script, folder=tmp_path / "replies", **given):
        chat, pauses = Chat(lambda _: pytest.fail("asked too often"), script), []
        endpoint = Endpoint(stack.enter_context(serving(chat)), "m", folder, wait=pauses.append, **given)
        endpoint.chat, endpoint.pauses = chat, pauses
        return stack.enter_context(endpoint)

    return made


def text_of(body):
    return body["messages"][0]["content"][-1]["text"]


def test_three_calls_make_a_record(serve, monkeypatch):
    monkeypatch.setenv(KEY, "secret-of-the-endpoint")
    endpoint = serve(reply("A triangle, secret-of-the-endpoint."), reply(CHAIN), reply(ANCHORED))
    record = synthesise(ASKED, endpoint, Limits())
    assert isinstance(record, Record)
    assert (record.kind, record.answer, record.images) == ("vard", "1/2", ASKED.images)
    assert record.response == ANCHORED.replace("0.5", "1/2")  # the record's own form of the answer
    describe, reflect, anchor = endpoint.chat.bodies
    picture = base64.b64decode(describe["messages"][0]["content"][0]["image_url"]["url"].partition(",")[2])
    assert Image.open(BytesIO(picture)).size == (70, 64)
    assert len(reflect["messages"][0]["content"]) == 1
    # a server that repeats the key does not get it into the data
    assert "A triangle, ***." in text_of(reflect)
    assert "What {kind} of angle?" in text_of(reflect)
    assert CHAIN in text_of(anchor)
    assert anchor["messages"][0]["content"][0]["type"] == "image_url"
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in endpoint.chat.bodies} == {
        ("m", 0.7, 4096)
    }
    assert endpoint.chat.headers[0]["Authorization"] == "Bearer secret-of-the-endpoint"
    used = endpoint.usage
    assert (used.calls, used.prompt_tokens, used.completion_tokens) == (3, 21, 9)


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
def test_chains_that_are_wrong_or_poor_are_rejected_with_a_reason(serve, replies, reason):
    made = synthesise(ASKED, serve(*map(reply, replies)), Limits(words=20))
    assert isinstance(made, Rejected)
    assert made.reason.startswith(reason)


def test_the_records_words_replace_the_answer_whatever_stands_around_it(serve):
    """Only what the last tag holds: a fraction with spaces, a tag that the reasoning talks about."""
    spaced = ANCHORED.replace("<answer>0.5</answer>", "\n<answer>\n 0.5 </answer>\n")
    record = synthesise(ASKED, serve(*map(reply, ("d", CHAIN, spaced))), Limits())
    assert record.response == spaced.strip().replace("<answer>\n 0.5 </answer>", "<answer>1/2</answer>")


def test_a_chain_that_no_record_can_hold_is_rejected_and_others_go_on(serve, tmp_path):
    other = Record("q2", (("user", "<image>Another?"),), (png(),), "rl", "3")
    marked = ANCHORED.replace("Half. ", "In <image> a half. ")
    good = ANCHORED.replace("0.5", "3")
    endpoint = serve(*map(reply, ("d", CHAIN, marked, CHAIN.replace("0.5", "3"), good)))
    path, rejected = run_synthesis([ASKED, other], endpoint, Limits(), tmp_path, 1)
    assert [each.id for each in read_records(path).require("response")] == ["q2"]
    assert [(each.id, each.reason) for each in rejected] == [
        ("q1", "no record: <image> stands in a assistant turn; pictures belong to user turns")
    ]


def test_an_answer_that_cannot_be_worked_out_ends_neither_the_run_nor_its_silence(
    tmp_path, serve, capfd, monkeypatch
):
    """Graded in the pool's threads, where math-verify's own alarms cannot ring."""
    monkeypatch.setattr(math_equality, "SECONDS", 1)
    tower = CHAIN.replace("0.5", "9^{9^{9^{9}}}")
    began = time.monotonic()
    endpoint = serve(reply("d"), reply(tower), reply(CHAIN), reply(ANCHORED))
    twin = replace(ASKED, id="q2", messages=(("user", "<image>Another?"),))
    path, rejected = run_synthesis([ASKED, twin], endpoint, Limits(), tmp_path, 1)
    assert time.monotonic() - began < 60
    assert [each.reason for each in rejected] == ["reflect: answers '9^{9^{9^{9}}}', not '1/2'"]
    assert [each.id for each in read_records(path).require("response")] == ["q2"]
    assert capfd.readouterr().err == ""


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


def test_a_question_without_an_answer_is_rejected_and_others_go_on(serve):
    """A filtered prompt must not end a run of thousands, nor one reply that never ends."""
    endpoint = serve(reply("d"), 400)
    made = synthesise(ASKED, endpoint, Limits())
    assert isinstance(made, Rejected)
    assert made.reason.startswith("no reply: m refused the prompt (HTTP 400: ")
    made = synthesise(ASKED, serve(reply(CHAIN, finish_reason="length")), Limits())
    assert made.reason == "no reply: the reply was cut at its longest; raise --max-tokens"


def test_a_killed_run_asks_nothing_twice(serve, tmp_path):
    other = Record("q2", (("user", "<image>Another?"),), (png(),), "rl", "3")
    first = serve(reply("d"), reply(CHAIN), reply(ANCHORED), 404)
    with pytest.raises(VaslabError, match=r"does not serve m .*check --endpoint and --model"):
        run_synthesis([ASKED, other], first, Limits(), tmp_path, 1)
    endpoint = serve(reply("<think>a</think><answer>4</answer>"))
    path, rejected = run_synthesis([ASKED, other], endpoint, Limits(), tmp_path, 1)
    # the second question shows the same picture: its description is the first's
    assert (endpoint.usage.calls, endpoint.usage.cached) == (1, 4)
    assert [each.id for each in read_records(path).require("response")] == ["q1"]
    assert [each.reason for each in rejected] == ["reflect: answers '4', not '3'"]
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["id"] == "q2"
    with pytest.raises(UsageError, match="is there already"):
        run_synthesis([ASKED], endpoint, Limits(), tmp_path, 1)


def test_other_settings_are_another_question(serve):
    assert serve(reply("one")).ask("a") == "one"
    assert serve().ask("a") == "one"
    assert serve(reply("two"), temperature=0.0).ask("a") == "two"


def test_a_busy_server_is_waited_for(serve):
    endpoint = serve(429, 503, reply("fine"))
    assert endpoint.ask("hello") == "fine"
    assert endpoint.pauses == [1, 2]
    with pytest.raises(VaslabError, match=r"the endpoint at .* failed 2 times, at last: HTTP 500"):
        serve(500, 500, tries=2).ask("other")


def test_errors_say_what_to_do(serve):
    with pytest.raises(VaslabError, match=f"refused the key .*set {KEY}"):
        serve(401).ask("a")
    with pytest.raises(VaslabError, match="not as an OpenAI-compatible chat"):
        serve("<html>").ask("c")
    with pytest.raises(PromptRefusedError, match="gave no text"):
        serve(reply(None)).ask("d")


def test_nothing_kept_is_an_error_that_names_the_reasons(serve, tmp_path):
    with pytest.raises(UsageError, match=r"none of 1 chains was kept; .*rejected\.jsonl"):
        run_synthesis([ASKED], serve(reply("d"), reply("x")), Limits(), tmp_path, 1)


def test_the_command_draws_glyphs_or_asks_for_an_endpoint(tmp_path, capfd):
    out = tmp_path / "glyphs"
    assert run(app, ["synthesize", "--kind", "rl", "--count", "2", "--out", str(out)], "avar") == 0
    assert capfd.readouterr().out.strip() == str(out / "records.jsonl")
    assert len(read_records(out).require("answer")) == 2
    write_records([ASKED], tmp_path / "asked")
    words = ["synthesize", "--out", str(tmp_path / "made")]
    assert run(app, [*words, "--data", str(tmp_path / "asked")], "avar") == 2
    assert "--data needs --model" in capfd.readouterr().err
    assert run(app, [*words, "--endpoint", "http://here"], "avar") == 2
    assert "give --data, or leave both out" in capfd.readouterr().err


def test_the_command_asks_an_endpoint_and_says_what_it_cost(tmp_path, monkeypatch, capfd):
    """Two prompts of which one is answered wrongly; the prices are of a million tokens."""
    monkeypatch.delenv(KEY, raising=False)
    other = Record("q2", (("user", "<image>Another?"),), (png(),), "rl", "3")
    write_records([ASKED, other], tmp_path / "asked")
    chat = Chat(
        lambda _: pytest.fail("asked too often"), [reply("d"), reply(CHAIN), reply(ANCHORED), reply("no")]
    )
    words = [
        "synthesize",
        "--data",
        str(tmp_path / "asked"),
        "--out",
        str(tmp_path / "made"),
        "--workers",
        "1",
    ]
    prices = ["--price-in", "1000000", "--price-out", "10000"]
    with serving(chat) as address:
        assert run(app, [*words, "--endpoint", address, "--model", "m", *prices], "avar") == 0
    said = capfd.readouterr()
    assert said.out.strip() == str(tmp_path / "made" / "records.jsonl")
    # 4 calls of 7 tokens read and 3 written, and the picture's description known for the second prompt
    told = "1 of 2 chains kept; 4 calls (1 more from the cache), 28 tokens read and 12 written, cost 28.12"
    assert told in said.err
    assert [each.id for each in read_records(tmp_path / "made").require("response")] == ["q1"]


def scene_question():
    scene = glyphs.scene(glyphs.TEST_SEEDS[0])
    glyph = scene.glyphs[0]
    return scene.picture(), f"what is at the {glyph.place}?", glyph.name


@pytest.mark.organism
def test_a_model_of_this_machine_answers_and_is_asked_once(tmp_path):
    picture, question, answer = scene_question()
    model = LocalModel("organism:base", tmp_path, temperature=0.0, max_tokens=16)
    assert model.ask(question, (picture,)) == answer
    assert (model.usage.calls, model.usage.cached) == (1, 0)
    assert 2 <= model.usage.completion_tokens <= 16
    assert model.ask(question, (picture,)) == answer
    assert (model.usage.calls, model.usage.cached) == (1, 1)
    again = LocalModel("organism:base", tmp_path, temperature=0.0, max_tokens=16)
    assert again.ask(question, (picture,)) == answer
    assert again.usage.calls == 0
    with pytest.raises(PromptRefusedError, match="cut at its longest; raise --max-tokens"):
        LocalModel("organism:base", tmp_path, temperature=0.0, max_tokens=1).ask(question, (picture,))
    with pytest.raises(PromptRefusedError, match="no content"):
        model.ask("")


@pytest.mark.organism
def test_what_a_local_model_draws_does_not_rest_on_what_was_asked_before(tmp_path):
    picture, question, _ = scene_question()
    told = []
    for name, before in (("a", ["describe the picture."]), ("b", []), ("c", [])):
        model = LocalModel(
            "organism:base", tmp_path / name, temperature=3.0 if name != "c" else 2.9, max_tokens=400
        )
        for each in [*before, question]:
            try:
                told.append(model.ask(each, (picture,)))
            except PromptRefusedError:
                told.append("cut")
    assert told[1] == told[2] != told[3]


@pytest.mark.organism
def test_the_command_takes_a_local_model(tmp_path, capfd):
    """The organism does not know VARD's prompts: every chain is rejected, with its reason."""
    write_records([ASKED], tmp_path / "asked")
    words = ["synthesize", "--data", str(tmp_path / "asked"), "--out", str(tmp_path / "made")]
    words += ["--model", "organism:base", "--max-tokens", "64", "--temperature", "0"]
    assert run(app, words, "avar") == 2
    assert "none of 1 chains was kept" in capfd.readouterr().err
    assert json.loads((tmp_path / "made" / "rejected.jsonl").read_text())["id"] == "q1"
