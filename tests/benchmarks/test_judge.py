"""A judge is asked over real HTTP: its retries, its cache, its errors, and where its key may be seen."""

import io
import json
import logging
import threading
import time
import traceback

import httpx
import pytest

from tests.benchmarks.judge_server import Chat, serving
from tests.benchmarks.judged_toy import says
from vaslab.benchmarks.judge import Judge, PromptRefusedError
from vaslab.benchmarks.judge_cache import AnswerCache, cache_folder
from vaslab.errors import UsageError, VaslabError

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("VASLAB_JUDGE_KEY", raising=False)


@pytest.fixture
def ask(tmp_path):
    """Ask one prompt of a server with a script: (answer or error, the chat, the pauses made, the judge)."""

    def call(*script, prompt="extract from: it is red", timeout=60.0, **more):
        chat = Chat(says, script, **more)
        pauses = []

        def wait(seconds):
            pauses.append(seconds)
            # the next answer may take as long as a busy machine needs
            judge._client.timeout = 60.0

        with serving(chat) as address:
            with Judge(address, "judge-1", tmp_path / "cache", wait=wait, timeout=timeout, tries=4) as judge:
                try:
                    return judge.ask(prompt), chat, pauses, judge
                except VaslabError as error:
                    return error, chat, pauses, judge

    return call


def test_a_prompt_is_sent_as_a_chat_at_temperature_0(ask):
    answer, chat, pauses, judge = ask()
    assert answer == "red"
    assert pauses == []
    assert chat.bodies == [
        {
            "model": "judge-1",
            "messages": [{"role": "user", "content": "extract from: it is red"}],
            "temperature": 0,
        }
    ]
    # a server of one's own needs no key: none is sent
    assert "Authorization" not in chat.headers[0]
    used = judge.usage
    assert (used.calls, used.retries, used.prompt_tokens, used.completion_tokens) == (1, 0, 5, 2)


def test_tokens_that_are_not_counted_by_the_server_are_0(ask):
    _, _, _, judge = ask(usage=False)
    assert (judge.usage.calls, judge.usage.prompt_tokens, judge.usage.completion_tokens) == (1, 0, 0)


@pytest.mark.parametrize("step", [429, 500, 502, 503, 504, "drop"])
def test_what_may_pass_is_tried_again_after_a_longer_and_longer_pause(ask, step):
    answer, chat, pauses, judge = ask(step, step, step)
    assert answer == "red"
    assert pauses == [1, 2, 4]
    assert len(chat.asked) == 4
    assert judge.usage.retries == 3


def test_silence_is_tried_again(ask):
    answer, chat, pauses, _ = ask(60.0, timeout=0.3)
    assert (answer, len(chat.asked), pauses) == ("red", 2, [1])


@pytest.mark.parametrize(("said", "pause"), [("7", 7), ("0", 1), ("9999", 60), ("tomorrow", 1)])
def test_a_server_may_say_how_long_to_wait(ask, said, pause):
    _, _, pauses, _ = ask((429, {"Retry-After": said}))
    assert pauses == [pause]


def test_after_the_last_try_it_is_one_line(ask):
    error, chat, pauses, _ = ask(503, 503, 503, 503, 503)
    assert len(chat.asked) == 4
    assert pauses == [1, 2, 4]
    said = str(error)
    assert "failed 4 times, at last: HTTP 503: no, not with none /v1/chat/completions" in said
    assert "the same command goes on" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (401, "refused the key (HTTP 401: "),
        (403, "set VASLAB_JUDGE_KEY"),
        (404, "does not serve judge-1 (HTTP 404: "),
        ((307, {"Location": "http://elsewhere/v1"}), "HTTP 307: "),
        ("<html>welcome</html>", "not as an OpenAI-compatible chat (<html>welcome</html>)"),
        ('{"choices": []}', "not as an OpenAI-compatible chat"),
        ("[1]", "not as an OpenAI-compatible chat"),
    ],
)
def test_what_will_not_pass_is_said_at_once(ask, step, said):
    error, chat, pauses, _ = ask(step)
    assert said in str(error)
    assert not isinstance(error, PromptRefusedError)
    assert (len(chat.asked), pauses) == (1, [])


def test_one_prompt_may_be_refused_but_not_every_one(tmp_path):
    with serving(Chat(says, [400, 422, 413])) as address, Judge(address, "m", tmp_path) as judge:
        for prompt in ("one", "two"):
            with pytest.raises(PromptRefusedError, match="m refused the prompt \\(HTTP 4"):
                judge.ask(prompt)
        with pytest.raises(VaslabError, match="refused every prompt") as caught:
            judge.ask("three")
        assert not isinstance(caught.value, PromptRefusedError)
    # once it has answered, any number of prompts may be refused
    with serving(Chat(says, [None, 400, 400, 400, 400])) as address, Judge(address, "m", tmp_path) as judge:
        judge.ask("extract from: red")
        for number in range(4):
            with pytest.raises(PromptRefusedError):
                judge.ask(f"prompt {number}")


def test_an_answer_without_text_refuses_the_prompt(ask):
    error, _, _, _ = ask(json.dumps({"choices": [{"message": {"content": None}}]}))
    assert isinstance(error, PromptRefusedError)


def test_an_address_where_nobody_listens_is_said_at_once(tmp_path):
    with serving(Chat(says)) as address:
        pass
    pauses = []
    with pytest.raises(
        VaslabError, match=r"there is no judge at http://127\.0\.0\.1:\d+/v1/chat/completions"
    ):
        Judge(address, "m", tmp_path, wait=pauses.append).ask("?")
    assert pauses == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:8000", "expected an address such as"),
        ("", "expected an address such as"),
        ("ftp://host/v1", "expected an address such as"),
        ("http://", "expected an address such as"),
        ("http://host:port", "is no address"),
        ("https://me:hunter22@host/v1", "holds a password"),
        ("https://host/v1?api-key=hunter22", "holds a password, query"),
    ],
)
def test_a_wrong_address_is_refused_and_no_secret_of_it_repeated(address, said, tmp_path):
    with pytest.raises(UsageError, match=said) as caught:
        Judge(address, "m", tmp_path)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "/", "/chat/completions"])
def test_an_address_may_end_as_people_write_it(end, tmp_path):
    chat = Chat(says)
    with serving(chat) as address, Judge(address + end, "m", tmp_path) as judge:
        assert judge.ask("extract from: red") == "red"
        assert judge.address == f"{address}/chat/completions"


def test_no_prompt_is_asked_twice_not_even_by_another_process(ask):
    ask()
    answer, chat, _, judge = ask()
    assert (answer, chat.asked, judge.usage.cached, judge.usage.calls) == ("red", [], 1, 0)
    _, chat, _, _ = ask(prompt="extract from: it is blue")
    assert len(chat.asked) == 1


def test_another_model_has_answers_of_its_own(tmp_path):
    # these two names share a file
    one, other = AnswerCache(tmp_path, "org/m"), AnswerCache(tmp_path, "org-m")
    one.put("p", "from org/m")
    other.put("p", "from org-m")
    assert one.path == other.path
    assert AnswerCache(tmp_path, "org/m").get("p") == "from org/m"
    assert AnswerCache(tmp_path, "org-m").get("p") == "from org-m"
    assert AnswerCache(tmp_path, "m").get("p") is None


def test_a_cut_line_costs_its_own_answer_alone(tmp_path):
    cache = AnswerCache(tmp_path, "m")
    prompts = {"first": "1\n2", "second \ud800": "zwei\u2028\u2029", "third": ""}
    for prompt, answer in prompts.items():
        cache.put(prompt, answer)
    whole = cache.path.read_bytes()
    starts = [0, *(at + 1 for at, byte in enumerate(whole) if byte == 10)]
    assert len(starts) == 4
    for length in {*range(0, len(whole), 9), *starts[1:3], *(end - 1 for end in starts[1:])}:
        cache.path.write_bytes(whole[:length])
        # a line is there once its closing brace is
        there = sum(length >= end - 1 for end in starts[1:])
        again = AnswerCache(tmp_path, "m")
        assert [again.get(p) for p in prompts] == [*list(prompts.values())[:there], *[None] * (3 - there)]
        if length % 45 == 0:
            again.put("fourth", "4")
            assert AnswerCache(tmp_path, "m").get("fourth") == "4"
            assert sum(AnswerCache(tmp_path, "m").get(p) is not None for p in prompts) == there


def test_many_threads_and_caches_keep_every_answer(tmp_path):
    caches = [AnswerCache(tmp_path, "m") for _ in range(4)]

    def put(cache, at):
        for number in range(25):
            cache.put(f"{at}-{number}", "x" * 3000)

    threads = [threading.Thread(target=put, args=(cache, at)) for at, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = AnswerCache(tmp_path, "m")
    assert all(held.get(f"{at}-{number}") == "x" * 3000 for at in range(4) for number in range(25))


def test_answers_lie_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "vaslab" / "judge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "vaslab" / "judge"


def test_the_key_goes_to_the_server_and_nowhere_else(ask, monkeypatch, tmp_path, caplog, capfd):
    monkeypatch.setenv("VASLAB_JUDGE_KEY", f" {KEY}\n")
    caplog.set_level(logging.DEBUG)
    seen = io.StringIO()
    # a server that repeats the key in whatever it says, as some do
    for script in ((), (401,), (503,) * 4, (400,), (f"x {KEY}",)):
        chat = Chat(lambda _: f"you sent {KEY}", script)
        with serving(chat) as address:
            judge = Judge(address, "m", tmp_path / "c", wait=lambda _: None, tries=4)
            try:
                seen.write(judge.ask(f"prompt {len(seen.getvalue())}"))
            except VaslabError as error:
                seen.write("".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)))
            assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
            seen.write(
                repr(judge) + repr(vars(judge)) + repr(vars(judge._client)) + repr(judge._client.headers)
            )
            seen.write(repr(judge.usage) + repr(vars(judge.cache)))
            judge._client.close()
    out, err = capfd.readouterr()
    assert "POST http://127.0.0.1" in caplog.text
    said = seen.getvalue() + out + err + caplog.text
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"you sent ***" in files
    assert "Bearer ***" in said
    assert KEY not in said
    assert KEY.encode() not in files


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "null\x00byte"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key, monkeypatch, tmp_path):
    environment = {"VASLAB_JUDGE_KEY": key}
    monkeypatch.setattr("os.environ", environment)
    with pytest.raises(UsageError, match="VASLAB_JUDGE_KEY holds a space") as caught:
        Judge("http://127.0.0.1:1/v1", "m", tmp_path)
    shown = "".join(traceback.format_exception(caught.value))
    assert key not in shown
    assert repr(key) not in shown


def test_a_word_that_stands_for_no_key_is_left_in_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("VASLAB_JUDGE_KEY", "EMPTY")
    with serving(Chat(lambda _: "the glass is EMPTY")) as address, Judge(address, "m", tmp_path) as judge:
        assert judge.ask("?") == "the glass is EMPTY"


def test_closing_lets_what_is_under_way_end_and_keeps_it(tmp_path):
    chat, got = Chat(says, [0.3, (429, {"Retry-After": "60"})]), {}
    with serving(chat) as address:
        judge = Judge(address, "m", tmp_path)

        def ask(prompt):
            try:
                got[prompt] = judge.ask(prompt)
            except VaslabError as error:
                got[prompt] = str(error)

        threads = []
        for number, prompt in enumerate(("extract from: slow", "extract from: put off"), start=1):
            threads.append(threading.Thread(target=ask, args=(prompt,)))
            threads[-1].start()
            while len(chat.asked) < number:
                time.sleep(0.01)
        judge.close()
        for thread in threads:
            thread.join()
        assert got["extract from: slow"] == "slow"
        # it did not sit out the minute it was told to wait
        assert got["extract from: put off"].startswith("the judge was closed")
        assert judge._client.is_closed
        assert AnswerCache(tmp_path, "m").get("extract from: slow") == "slow"
        with pytest.raises(VaslabError, match="was closed"):
            judge.ask("extract from: late")
    assert len(chat.asked) == 2


def test_half_a_surrogate_pair_of_a_response_can_be_sent(ask):
    answer, chat, _, _ = ask(prompt="extract from: \ud800 red")
    assert answer == "red"
    assert chat.asked == ["extract from: \ud800 red"]


def test_redirects_are_not_followed_so_the_key_stays_with_the_address(monkeypatch, tmp_path):
    monkeypatch.setenv("VASLAB_JUDGE_KEY", KEY)
    other = Chat(says)
    with serving(other) as elsewhere:
        chat = Chat(says, [(308, {"Location": f"{elsewhere}/chat/completions"})])
        with serving(chat) as address, Judge(address, "m", tmp_path) as judge:
            with pytest.raises(VaslabError, match="HTTP 308"):
                judge.ask("?")
    assert other.asked == []
    assert isinstance(judge._client, httpx.Client)
