"""The grammar has no conflicts, its tables are up to date, and starting is cheap."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from lark import Lark

from retouch.lang import tables
from retouch.pictures import formats
from retouch.plugins import registry


@pytest.mark.parametrize("module", tables.MODULES)
@pytest.mark.thorough
def test_the_grammar_is_lalr_1_without_conflicts_and_without_colliding_terminals(module):
    """Lark's strict mode, which compares the languages of all terminals, finds nothing."""
    pytest.importorskip("interegular")
    files = tables.MODULES[module]
    text = "".join((tables.GRAMMAR / name).read_text("utf-8") for name in files)
    assert Lark(text, parser="lalr", lexer="contextual" if len(files) == 1 else "basic", strict=True).rules


@pytest.mark.parametrize("module", tables.MODULES)
def test_the_tables_are_those_of_the_grammar(module):
    """Run `python -m retouch.lang.tables` after a change of the grammar."""
    written = Path(tables.__file__).with_name(f"{module}.py").read_text("utf-8")
    assert written == tables.source(tables.MODULES[module])


def test_a_file_without_quotes_is_known_by_every_ending_that_is_read_or_written():
    """The pattern of the grammar against the table of picture formats and the signatures of stages."""
    text = (tables.GRAMMAR / "mistakes.lark").read_text("utf-8")
    known = set(re.search(r"\\.\(\?:((?:[a-z?]+\|)+[a-z?]+)\)", text)[1].split("|"))
    cards = registry.load().cards
    kinds = [option.kind for card in cards for option in card.options if option.name == "path"]
    wanted = {ending for kind in kinds for ending in formats.endings(kind.endings)} | {".retouch"}
    wanted |= {ending for format in formats.FORMATS for ending in format.endings}
    matching = {ending for ending in wanted if any(re.fullmatch(each, ending[1:]) for each in known)}
    assert matching == wanted
    assert all(any(re.fullmatch(each, ending[1:]) for ending in wanted) for each in known)


def test_importing_the_language_imports_no_torch_and_reading_codes_no_lark():
    """Light commands stay light."""
    program = (
        "import sys\n"
        "import retouch.lang.explain, retouch.lang.format\n"
        "assert 'lark' not in sys.modules\n"
        "from retouch.lang.parse import parse\n"
        "assert not parse('invert ddim')[1]\n"
        "assert 'torch' not in sys.modules and 'pickle' not in dir(sys.modules['retouch.lang.tables'])\n"
        "assert 'retouch.lang._tables_mistakes' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
