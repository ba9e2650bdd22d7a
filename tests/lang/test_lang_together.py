"""Independent mistakes of one file are all reported in one go, each once, each at its own place."""

import json

import pytest

from retouch.check.check import check
from retouch.cli.main import main
from tests.lang.stages import world

# «» stand around what is wrong.
EIGHT = """\
# eight mistakes of four kinds
photo = open "cat.png" caption=«'a white cat'»
path = photo | invert «nulltext»
area = photo | mask diffedit "cat"«=>»"dog" | mask dilate pixels=4
soft = area | mask feather «pixls»=2
photo | invert ddim "cat"->"dog" steps=«"50"» | save "a.png"
photo | invert ddim «"dgo"»->"fox" | save "b.png"
photo | invert edict "cat"->"dog" mixing=«93» | save "c.png"
path | attend p2p "cat"->"dog" | «blnd» latent mask=soft | save "d.png"
"""
CODES = ["RT102", "RT202", "RT106", "RT205", "RT207", "RT306", "RT208", "RT201"]
SETS = {
    "syntax, names, options, values and edits": (EIGHT, CODES),
    "text alone": (
        "let «soft-mask» = 3\nphoto = open «images/cat.png»\nphoto | invert ddim «steps=»\n"
        'photo | attend p2p "a"«,» "b"->"c"\nphoto «save» "a.png"\nphoto | sample guidance«:»7\n'
        "photo | sample guidance=«[»3, 5\nphoto «-»> sample\n",
        ["RT117", "RT110", "RT108", "RT111", "RT104", "RT109", "RT112", "RT104"],
    ),
    "names alone": (
        'photo = open "cat.png"\nphoto | «msk» box\nphoto | invert «dim»\nphoto | invert ddim «stps»=5\n'
        'photo | invert ddim steps=«many»\n«b» | invert ddim\nb = open "cat.png"\n'
        "photo | invert ddim steps=5 «steps=6»\n"
        'photo | mask diffedit "a"->"b" strength=«4»\n',
        ["RT201", "RT202", "RT205", "RT204", "RT213", "RT206", "RT208"],
    ),
    "edits and files": (
        'open «"cta.png"» | invert ddim "a"->"b" | save "1.png"\n'
        'open "cat.png" caption="a cat" | invert ddim «"dgo"»->"fox" | save "2.png"\n'
        'open "cat.png" | invert ddim «+"a hat"» | save "3.png"\n'
        'open "cat.png" | invert ddim | «attend p2p» | save "4.png"\n'
        'open "cat.png" | invert ddim "a"->"b" | «blend latent» | save "5.png"\n'
        'open "cat.png" | invert ddim "a"->"b" | attend p2p «"c"->"d"» | save "6.png"\n'
        'open «"../cat.png"» | invert ddim "a"->"b" | save "7.png"\n'
        'open «"https://x.org/a.png"» | invert ddim "a"->"b" | save "8.png"\n',
        ["RT402", "RT306", "RT308", "RT307", "RT301", "RT305", "RT403", "RT413"],
    ),
}


def unmarked(text: str) -> tuple[str, list[int]]:
    """The recipe, and where its mistakes begin."""
    parts = text.replace("»", "").split("«")
    starts = [sum(map(len, parts[:i])) for i in range(1, len(parts))]
    return "".join(parts), starts


@pytest.mark.parametrize("name", SETS)
def test_every_mistake_is_reported_once_at_its_place(name):
    """No first error hides the others, and none makes another."""
    marked, codes = SETS[name]
    text, places = unmarked(marked)
    found = check(text, world()).errors
    assert [(item.code, item.span.start) for item in found] == list(zip(codes, places, strict=True))


def test_eight_mistakes_get_eight_carets_in_one_go(tmp_path, capsys, monkeypatch):
    """As people see it, and as editors do."""
    marked, codes = SETS["text alone"]
    text, places = unmarked(marked)
    (tmp_path / "wrong.retouch").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["check", "wrong.retouch"]) == 1
    said = capsys.readouterr().err
    assert [line[6:11] for line in said.splitlines() if line.startswith("error")] == codes
    carets = [line.index("^") - 4 for line in said.splitlines() if "^" in line]
    assert carets == [place - text.rfind("\n", 0, place) - 1 for place in places]
    assert main(["check", "--json", "wrong.retouch"]) == 1
    shown = json.loads(capsys.readouterr().out)["diagnostics"]
    assert [item["start"] for item in shown] == [[i, column + 1] for i, column in enumerate(carets, 1)]


@pytest.mark.parametrize("path", ["5", '["cat.png", 5]', "other", 'f("cat.png")', '"a"->"b"'])
def test_a_path_that_is_no_text_is_a_mistake_like_others(path):
    """It is reported, and the rest is read."""
    found = check(f'open path={path} | invert ddim "a"->"b" stps=3 | save "out.png"\n', world()).errors
    assert len(found) == 2
    assert found[1].code == "RT205"
