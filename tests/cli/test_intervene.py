"""`vaslab intervene` as a user meets it."""


def test_a_file_that_is_not_there(vaslab, tmp_path):
    code, told, err = vaslab("intervene", tmp_path / "none.yaml")
    assert (code, told) == (3, "")
    assert "cannot be read" in err


def test_an_unknown_intervention_is_a_wrong_call(vaslab, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("models: [organism:base]\ndata: [glyph]\ninterventions: [blok]\n")
    code, told, err = vaslab("intervene", file)
    assert (code, told) == (2, "")
    assert "did you mean 'block'?" in err


def test_a_sweep_prints_its_folder_and_its_verdicts(vaslab, tmp_path, tiny):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"models: [{{name: {tiny}, label: tiny}}]\n"
        "data: [{name: easy-vqa, limit: 4, max_new_tokens: 2}]\n"
        "interventions: [{name: enhance, vary: {alpha: [0.5]}}]\n"
        "side_items: 0\n"
    )
    code, told, err = vaslab("intervene", file, "--out", tmp_path / "out")
    assert (code, told.strip()) == (0, str(tmp_path / "out"))
    assert "tiny on easy-vqa" in err
    assert "enhance alpha=0.5: no change of accuracy shown" in err
