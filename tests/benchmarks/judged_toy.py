"""A benchmark whose protocol asks a judge twice, to extract and to grade; as a script, `vaslab` that knows it."""

from vaslab.benchmarks import Grade, Item, registry
from vaslab.benchmarks.table import TableBenchmark, text


class JudgedToy(TableBenchmark):
    name = "judged-toy"
    title = "toy"
    source = "here"
    licence = "none"
    rule = "the answer alone"
    get = "ask"
    files = ("toy.jsonl",)

    def read(self, row):
        return Item("", text(row, "question"), answer=text(row, "answer"))

    def grade(self, item, response):
        return Grade(response == item.answer, response or None)

    def judge(self, item, response, ask):
        if response == item.answer:
            return Grade(True, response)
        found = ask(f"extract from: {response}")
        return Grade(ask(f"same? {found} / {item.answer}") == "yes", found)


def says(prompt):
    """The judge: extracts the last word, and compares."""
    kind, _, rest = prompt.partition(": " if prompt.startswith("extract") else "? ")
    if kind == "extract from":
        return rest.split()[-1]
    told, _, answer = rest.partition(" / ")
    return "yes" if told == answer else "no"


if __name__ == "__main__":
    from vaslab.cli.app import main

    registry.TABLES["judged-toy"] = JudgedToy
    main()
