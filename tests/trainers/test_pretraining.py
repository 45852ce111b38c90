"""The pretraining of the organism: its fast batches are the processor's, and a killed run goes on as if it
had not been."""

import pytest
import torch
from PIL import Image

from trainers.batches import IGNORE, Batcher
from trainers.exam import ExamQuestion, blank, easy_exam, glyph_exam, sit
from trainers.lessons import CURRICULUM, Lesson, Teacher
from trainers.organism import Pretraining, answer_weights
from trainers.runs import PretrainConfig
from vaslab.organism import easy_vqa, glyphs
from vaslab.organism.build import build_model

pytestmark = pytest.mark.tiny


def chat_of(lesson):
    chat = [] if lesson.system is None else [{"role": "system", "content": lesson.system}]
    for number, (question, answer) in enumerate(lesson.turns):
        picture = [{"type": "image"}] if number == 0 else []
        chat.append({"role": "user", "content": [*picture, {"type": "text", "text": question}]})
        chat.append({"role": "assistant", "content": answer})
    return chat


def test_batches_equal_the_processors(processor):
    teacher, batcher = Teacher(seed=0), Batcher(processor)
    for phase in CURRICULUM:
        for index in range(12):
            lesson = teacher.lesson(index, phase, turns=3)
            inputs, labels = batcher.batch([lesson])
            text = processor.apply_chat_template(chat_of(lesson))
            expected = processor(text=[text], images=[lesson.picture], return_tensors="pt")
            length = inputs["input_ids"].shape[1]
            # The template ends the last turn with a line break that training leaves out.
            assert expected["input_ids"].shape[1] == length + 1
            torch.testing.assert_close(inputs["input_ids"], expected["input_ids"][:, :length])
            torch.testing.assert_close(inputs["pixel_values"], expected["pixel_values"], atol=1e-6, rtol=0)
            torch.testing.assert_close(inputs["image_grid_thw"], expected["image_grid_thw"])
            told = processor.tokenizer.decode(labels[labels != IGNORE])
            assert told == "".join(f"{answer}<|im_end|>" for _, answer in lesson.turns)


def test_padding_is_left_and_unlabelled(processor):
    picture = Image.new("RGB", (64, 64))
    batcher = Batcher(processor)
    lessons = [
        Lesson(picture, None, (("what?", "red"),), "x"),
        Lesson(picture, None, (("what color is it?", "red"),), "x"),
    ]
    inputs, labels = batcher.batch(lessons)
    padding = inputs["attention_mask"] == 0
    assert padding[0, 0]
    assert not padding[1].any()
    assert (labels[padding] == IGNORE).all()


def test_the_exam_marks_exactly_right_answers(processor):
    class Oracle(torch.nn.Module):
        """Says "red" and ends, whatever it is asked."""

        def generate(self, input_ids, **_):
            told = torch.tensor(processor.tokenizer("red<|im_end|>")["input_ids"])
            return torch.cat([input_ids, told.expand(len(input_ids), -1)], dim=1)

    picture = Image.new("RGB", (64, 64))
    exam = [ExamQuestion(picture, "what color?", answer, "x") for answer in ("red", "blue", "red done")]
    assert sit(Oracle(), Batcher(processor), exam).tolist() == [True, False, False]
    assert blank(picture).getcolors() == [(64 * 64, (242, 242, 242))]


def test_exam_questions_are_held_out_ones():
    exam = glyph_exam(3, per_scene=2)
    assert len(exam) == 6
    assert [q.text for q in exam] == [q.text for q in glyph_exam(3, per_scene=2)]


def test_training_is_watched_on_questions_that_it_is_not_judged_by():
    watched, judged = glyph_exam(40, watched=True), glyph_exam(40)
    pictures = [{easy_vqa.digest(q.picture) for q in exam} for exam in (watched, judged)]
    assert not pictures[0] & pictures[1]
    assert not set(glyphs.WATCHED_SEEDS) & set(glyphs.TEST_SEEDS)
    aside = {row.picture for row in easy_vqa.set_aside()}
    assert len(aside) == 60
    assert len(easy_exam(watched=True)) == sum(row.picture in aside for row in easy_vqa.official("train"))
    assert not aside & {row.picture for rows in Teacher(seed=0)._official for row in rows}
    assert not aside & {row.picture for row in easy_vqa.official("test")}


def test_short_answers_weigh_more_and_the_rest_nothing():
    labels = torch.full((2, 16), IGNORE)
    labels[0, 2:4] = 7  # a word and its end
    labels[0, 5:14] = 7  # nine tokens: a long answer
    labels[1, 0:8] = 7  # eight tokens: still short, and it begins the row
    expected = torch.zeros(2, 16)
    expected[0, 2:4], expected[0, 5:14], expected[1, 0:8] = 3, 1, 3
    assert torch.equal(answer_weights(labels, 3.0), expected)
    assert torch.equal(answer_weights(labels, 1.0), (labels != IGNORE).float())


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(
        "trainers.organism.build_model",
        lambda p, seed: build_model(p, layers=1, heads=2, kv_heads=1, hidden=32, seed=seed),
    )
    monkeypatch.setattr(Pretraining, "examine", lambda *_, **__: {"blank": False})


@pytest.mark.slow  # that a training goes on to the same bits is seen of sft, grpo and stages in the fast tier
def test_a_resumed_run_equals_an_uninterrupted_one(small, tmp_path):
    config = PretrainConfig(steps=8, batch=4, warmup=2, exam_every=4, log_every=1)
    Pretraining(tmp_path / "whole", config).run()
    cut = Pretraining(tmp_path / "cut", config)
    cut._log = lambda **values: (_ for _ in ()).throw(KeyboardInterrupt) if cut.step == 6 else None
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    again = Pretraining(tmp_path / "cut", config)
    assert again.step == 4
    again.run()
    files = [tmp_path / name / "checkpoint" / "model.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_every_parameter_moves(small, tmp_path):
    run = Pretraining(tmp_path, PretrainConfig(steps=4, batch=4, warmup=1, exam_every=100))
    before = {name: parameter.clone() for name, parameter in run.model.named_parameters()}
    run.run()
    still = [name for name, parameter in run.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []
