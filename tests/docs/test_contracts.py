"""The contracts that docs/architecture.md writes down are those of the code: same names, same order, same defaults."""

import ast
import re
from dataclasses import MISSING, fields

import pytest

from tests.docs.examples import DOCS
from vaslab.attention import Edit, Request


def told(name):
    """(field, default) of a class in the page's indented blocks; None for a field without a default."""
    text = (DOCS / "architecture.md").read_text()
    block = re.search(rf"^    {name}\(((?:.*\n)(?:     .*\n)*)", text, re.M)[1]
    words = re.sub(r"#.*", "", block)
    call = ast.parse(f"def f({words.strip().removesuffix(')')}): ...").body[0].args
    defaults = [None] * (len(call.args) - len(call.defaults)) + [
        ast.literal_eval(each) for each in call.defaults
    ]
    return [(arg.arg, default) for arg, default in zip(call.args, defaults, strict=True)]


@pytest.mark.parametrize("contract", [Request, Edit])
def test_a_contract_has_the_fields_of_its_class(contract):
    real = [
        (each.name, None if each.default is MISSING else each.default)
        for each in fields(contract)
        if each.init
    ]
    assert sorted(told(contract.__name__), key=str) == sorted(real, key=str)
