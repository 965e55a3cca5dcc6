"""Promises of cpack_lib.work.asking."""

from cpack_lib.work.asking import MOST_LETTERS, search_box


def parts(box):
    """The line, the answers and the examples of a box."""
    asking, examples = box.children
    return *asking.children, examples


def test_it_answers_at_once_and_again_when_another_question_is_typed():
    asked = []

    def find(question):
        asked.append(question)
        return [(f"{question}的答案", 0.5), ("别的", -0.126)]

    line, answers, _ = parts(search_box(find, "豆腐", []))
    assert "豆腐的答案 <small>0.50</small>" in answers.value and asked == ["豆腐"]
    line.value = "茶"
    assert "茶的答案" in answers.value and "豆腐" not in answers.value and "-0.13" in answers.value
    assert asked == ["豆腐", "茶"]


def test_an_empty_question_is_not_asked():
    line, answers, _ = parts(search_box(lambda question: [(question, 1.0)], "豆腐", []))
    line.value = "  "
    assert "Type a question" in answers.value and "<li>" not in answers.value


def test_nothing_in_a_text_is_taken_for_html_and_long_ones_are_cut():
    nasty = "<img src=x onerror=alert(1)>\n" + "长" * 500
    _, answers, examples = parts(search_box(lambda question: [(nasty, 1.0)], nasty, [nasty]))
    for shown in (answers.value, examples.value):
        assert "<img" not in shown and "&lt;img" in shown
    assert answers.value.partition("<ol")[2].count("长") < MOST_LETTERS and "…" in answers.value
