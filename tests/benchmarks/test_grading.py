import pytest

from vaslab.benchmarks import Item, find_benchmark
from vaslab.benchmarks.answer_tag import tagged_answer
from vaslab.organism import glyphs, questions


def easy(answer):
    return Item("e", "?", answer=answer)


@pytest.mark.parametrize(
    ("response", "answer", "right", "extracted"),
    [
        ("yes", "yes", True, "yes"),
        (" Yes.\n", "yes", True, "yes"),
        ("TEAL", "teal", True, "teal"),
        ("no", "yes", False, "no"),
        ("<think>it is red, so no.</think><answer>Yes.</answer>", "yes", True, "yes"),
        ("<answer>no</answer> or <answer>circle</answer>", "circle", True, "circle"),
        ("yes yes", "yes", False, None),
        ("the answer is yes", "yes", False, None),
        ("", "yes", False, None),
        ("orange", "yes", False, None),
        ("<answer></answer>", "yes", False, None),
        ("yes </answer>", "yes", False, None),
    ],
)
def test_easy_vqa_compares_the_answer_word_alone(response, answer, right, extracted):
    grade = find_benchmark("easy-vqa").grade(easy(answer), response)
    assert (grade.right, grade.extracted) == (right, extracted)
    assert bool(grade.reason) is (extracted is None)


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ("top left", "top left", True),
        ("Top  left.", "top left", True),
        ("left", "top left", False),
        ("red circle", "red circle", True),
        ("3", "3", True),
        ("3.0", "3", False),
        ("<think>circles: none.</think><answer>0</answer>", "0", True),
    ],
)
def test_glyph_compares_the_whole_answer(response, answer, right):
    assert find_benchmark("glyph").grade(easy(answer), response).right is right


def test_an_empty_glyph_response_is_wrong_with_a_reason():
    grade = find_benchmark("glyph").grade(easy("3"), " . ")
    assert (grade.right, grade.extracted, grade.reason) == (False, None, "empty response")


def test_reference_answers_and_reasoned_ones_grade_as_right():
    scene = glyphs.scene(glyphs.TEST_SEEDS[0])
    for question in questions.questions(scene, 6, seed=0):
        item = easy(question.answer)
        assert find_benchmark("glyph").grade(item, question.answer).right
        assert find_benchmark("glyph").grade(item, question.reasoned()).right


def test_the_last_complete_tag_counts():
    assert tagged_answer("no tag") is None
    assert tagged_answer("</answer>") is None
    assert tagged_answer("<answer>a</answer><answer>b") == "a"
    assert tagged_answer("<answer>a <answer> b </answer>") == "b"
