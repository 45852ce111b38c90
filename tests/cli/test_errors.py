"""Every wrong call ends with its exit code, one line that names the fix, and nothing on disk."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tiny


@pytest.fixture
def fails(vaslab, tmp_path):
    """Call, and check what all failures share: one line on stderr, none on stdout, no run folder."""

    def call(code, *words, said):
        out = tmp_path / "runs" / "none"
        got, told, err = vaslab(*words, *(("--out", out) if words[0] == "measure" else ()))
        assert (got, told) == (code, ""), err
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert said in err
        assert ".;" not in err
        assert not out.exists()
        assert not list(tmp_path.glob("runs/.*"))

    return call


def test_an_image_that_is_not_there(fails, tiny):
    fails(3, "measure", "-m", tiny, "--image", "gone.png", "--question", "?", said="check the path")


def test_an_unreadable_image(fails, tiny, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    fails(
        1, "measure", "-m", tiny, "--image", tmp_path / "bad.png", "--question", "?", said="convert it to PNG"
    )


def test_a_truncated_image(fails, tiny, picture, tmp_path):
    from PIL import Image

    whole = tmp_path / "whole.png"
    Image.effect_noise((64, 64), 90).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:900])
    fails(1, "measure", "-m", tiny, "--image", tmp_path / "cut.png", "--question", "?", said="truncated")


def test_no_image(fails, tiny):
    fails(2, "measure", "-m", tiny, "--question", "what?", said="add --image")


def test_no_question(fails, tiny, picture):
    fails(2, "measure", "-m", tiny, "--image", picture, said="add --question")


def test_nothing_to_measure(fails, tiny):
    fails(2, "measure", "-m", tiny, said="add --data")


def test_data_and_picture_at_once(fails, tiny, picture):
    fails(2, "measure", "-m", tiny, "-d", "glyph", "--image", picture, said="exclude each other")


def test_no_model(fails):
    fails(2, "measure", "-d", "glyph", said="add --model")


def test_an_unknown_organism(fails):
    fails(2, "measure", "-m", "organism:nobody", "-d", "glyph", said="there is no organism:nobody; shipped:")


def test_a_model_folder_that_is_not_there(fails):
    fails(3, "measure", "-m", "./nowhere", "-d", "glyph", said="there is no model folder ./nowhere")


def test_a_hub_id_that_is_not_on_disk(fails):
    fails(3, "measure", "-m", "nobody/nothing", "-d", "glyph", said="--online")


def test_a_family_that_is_not_in_the_table(fails, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    fails(2, "measure", "-m", folder, "-d", "glyph", said="'llava' is not in vaslab's table; in it are: ")


def test_unknown_data(fails, tiny):
    fails(2, "measure", "-m", tiny, "-d", "glyphs", said="did you mean 'glyph'?")


def test_a_data_file_that_is_not_there(fails, tiny):
    fails(3, "measure", "-m", tiny, "-d", "gone.jsonl", said="no data file at gone.jsonl")


def test_a_malformed_line(fails, tiny, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"id": 1}\n{"id": \n')
    fails(2, "measure", "-m", tiny, "-d", tmp_path / "mine.jsonl", said="mine.jsonl:2: not JSON")


def test_data_of_which_nothing_can_be_asked(fails, tiny, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"id": 1, "question": "?"}\n')
    fails(1, "measure", "-m", tiny, "-d", tmp_path / "mine.jsonl", said="no image")


def test_data_of_which_no_picture_can_be_read_leaves_no_run(fails, tiny, tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"id": 1, "question": "?", "image": "gone.png"}\n')
    fails(1, "measure", "-m", tiny, "-d", tmp_path / "mine.jsonl", said="no item could be measured")


def test_an_unknown_query_set(fails, tiny):
    fails(2, "measure", "-m", tiny, "-d", "glyph", "--queries", "users", said="did you mean 'user'?")


def test_an_unknown_option(fails):
    fails(2, "measure", "--modle", "x", said="No such option: --modle")


def test_a_limit_that_is_no_number(fails, tiny):
    fails(2, "measure", "-m", tiny, "-d", "glyph", "--limit", "few", said="--limit")


def test_a_limit_below_one(fails, tiny):
    fails(2, "measure", "-m", tiny, "-d", "glyph", "--limit", "0", said="at least 1")


def test_an_unknown_key_in_the_file(fails, tmp_path):
    (tmp_path / "c.yaml").write_text("modle: x\n")
    fails(2, "measure", "-C", tmp_path / "c.yaml", said="unknown key 'modle'; did you mean 'model'?")


def test_a_config_that_is_not_there(fails, tmp_path):
    fails(3, "measure", "-C", tmp_path / "c.yaml", said="check --config")


def test_a_run_that_is_not_there(fails):
    fails(3, "figure", "heads", "runs/nowhere", said="vaslab ls runs")
    fails(3, "show", "runs/nowhere", said="there is no run at")


def test_a_query_set_that_a_run_does_not_hold(fails, a_run):
    fails(2, "show", a_run, "--queries", "response", said="holds no queries 'response'; it holds user")
    fails(2, "figure", "heads", a_run, "--queries", "response", said="unknown query role 'response'")


def test_an_unknown_figure_format(fails, a_run):
    fails(2, "figure", "heads", a_run, "--format", "gif", said="unknown figure format 'gif'")


def test_a_stem_that_is_a_path(fails, a_run):
    fails(2, "figure", "heads", a_run, "--stem", "../heads", said="expected a file name")


def test_another_config_into_the_same_folder(vaslab, a_run, tiny):
    words = ["measure", "-m", tiny, "-d", "glyph", "-n", "5", "-o", a_run, "--max-new-tokens", "3"]
    before = (a_run / "items.jsonl").read_bytes()
    code, told, err = vaslab(*words)
    assert (code, told) == (2, "")
    assert "limit is 6 there and 5 here" in err
    assert err.count("\n") == 1
    assert (a_run / "items.jsonl").read_bytes() == before


def test_a_folder_of_something_else_is_never_overwritten(vaslab, tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for more in ((), ("--overwrite",)):
        code, _, err = vaslab("measure", "-m", tiny, "-d", "glyph", "-n", 2, "-o", tmp_path, *more)
        assert code == 2
        assert "choose another --out" in err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_real_process_exits_with_the_code_and_one_line():
    program = [sys.executable, "-c", "from vaslab.cli.app import main; main()"]
    done = subprocess.run([*program, "show", "runs/nowhere"], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error: there is no run at runs/nowhere")
    assert done.stderr.count("\n") == 1
