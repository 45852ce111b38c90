import pytest
import yaml

from vaslab.errors import MissingError, UsageError
from vaslab.studies.study_config import DataEntry, ModelEntry, StudyConfig, SystemEntry
from vaslab.studies.study_file import read_study

SMALL = "models: [organism:base]\ndata: [glyph]\n"


@pytest.fixture
def read(tmp_path):
    def read(text, **flags):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return read_study(path, **flags)

    return read


def test_every_combination_is_a_run_and_entries_win_over_the_study(read):
    study = read(
        """
        models: [organism:base, {name: folder/x, label: X, dtype: bfloat16, revision: v1}]
        data: [glyph, {name: easy-vqa, limit: 5, max_new_tokens: 7, batch-size: 2}]
        systems: [{label: own, text: null}, {label: empty, text: ""}]
        seeds: [3, 4]
        limit: 20
        queries: [user, response]
        temperature: 1
        """
    )
    runs = {run.name: run for run in study.runs()}
    assert len(runs) == 2 * 2 * 2 * 2
    plain = runs["organism-base-glyph-own-seed3"].config
    assert (plain.model, plain.data, plain.seed, plain.system) == ("organism:base", "glyph", 3, None)
    assert (plain.limit, plain.max_new_tokens, plain.batch_size, plain.dtype) == (20, 64, 8, "auto")
    assert plain.out == "runs/mine/runs/organism-base-glyph-own-seed3"
    other = runs["X-easy-vqa-empty-seed4"].config
    assert (other.model, other.system, other.revision, other.dtype) == ("folder/x", "", "v1", "bfloat16")
    assert (other.limit, other.max_new_tokens, other.batch_size) == (5, 7, 2)
    assert other.queries == ("user", "response")
    assert {run.config.temperature for run in study.runs()} == {1}


def test_data_is_called_by_its_name_without_its_path(read):
    study = read("models: [some/folder]\ndata: ['mathvision/test:there/x', my/own.jsonl, glyph]\n")
    assert [run.data for run in study.runs()] == ["mathvision/test", "own", "glyph"]
    assert study.runs()[0].name == "some-folder-mathvision-test"


def test_runs_of_one_model_follow_each_other(read):
    study = read("models: [a, b]\ndata: [glyph, easy-vqa]\n")
    assert [run.model for run in study.runs()] == ["a", "a", "b", "b"]


def test_flags_win_over_the_file(read):
    text = "models: [a]\ndata: [{name: glyph, limit: 9}, easy-vqa]\nout: there\nlimit: 7\n"
    study = read(text, limit=2, out="here", offline=False)
    assert [run.config.limit for run in study.runs()] == [2, 2]
    assert study.out == "here"
    assert study.offline is False
    assert [run.config.limit for run in read(text, limit=None, out=None).runs()] == [9, 7]


def test_a_study_is_read_back_as_it_was_written(tmp_path):
    study = StudyConfig(
        models=(ModelEntry("a", label="A", dtype="float16"),),
        data=(DataEntry("glyph", limit=3), DataEntry("easy-vqa")),
        out="there",
        systems=(SystemEntry("own"), SystemEntry("empty", "")),
        seeds=(0, 1),
        temperature=0.5,
    )
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study.to_dict()))
    assert read_study(path) == study


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: [a]\ndata: [b]", "unknown key 'modles'; did you mean 'models'?"),
        (SMALL + "benchmarks: [c]", "unknown key 'benchmarks'; expected models, data"),
        ("models: [{nam: a}]\ndata: [b]", r"unknown key 'models\[0\].nam'; did you mean 'name'?"),
        ("models: [{label: a}]\ndata: [b]", r"models\[0\] has no name"),
        ("models: [3]\ndata: [b]", r"models\[0\] is 3; expected a name, or a mapping of name, label"),
        ("models: []\ndata: [b]", "models is empty; name at least one"),
        ("models: a\ndata: [b]", "models is 'a'; expected a list"),
        ("data: [b]", "no models; write a list"),
        (SMALL + "limit: ten", "limit is 'ten'; expected a whole number"),
        (SMALL + "limit: 0", "limit is 0; expected at least 1"),
        (SMALL + "seeds: [true]", r"seeds\[0\] is True; expected a whole number"),
        (SMALL + "temperature: hot", "temperature is 'hot'; expected a number"),
        (SMALL + "offline: 1", "offline is 1; expected true or false"),
        (SMALL + "top_k: 5", "belong to drawn answers"),
        (SMALL + "queries: [users]", "did you mean 'user'"),
        (SMALL + "systems: [{label: a, text: 3}]", r"systems\[0\].text is 3"),
        (SMALL + "seeds: [0, 1]", "the same for each; add temperature or limit"),
        ("models: [a, a]\ndata: [b]", "models name 'a' twice; give each a label of its own"),
        ("models: [a/b, 'a:b']\ndata: [c]", "models name 'a/b', 'a:b' twice"),
        ("models: [a, a-b]\ndata: [b-c, c]", "two runs would share the folder a-b-c"),
        ("- models", "holds no fields"),
        ("models: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_place(read, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        read(text)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingError, match="give a study's YAML file"):
        read_study(tmp_path / "gone.yaml")
