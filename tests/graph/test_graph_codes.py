"""Each code that a check reports: what triggers it, where its caret stands, and a mend that is clean."""

from __future__ import annotations

import pytest

from retouch.lang.codes import CODES

# code -> (recipe with «the marked place», the same mended)
EXAMPLES = {
    "RT201": ('«msk» diffedit "cat"->"dog"', 'mask diffedit "cat"->"dog"'),
    "RT202": ('invert «nulltext» "cat"->"dog"', 'invert null_text "cat"->"dog"'),
    "RT203": ('invert ddim | «attend» "cat"->"dog"', 'invert ddim | attend p2p "cat"->"dog"'),
    "RT204": ("invert ddim | sample guidance=«strong»", "invert ddim | sample guidance=7.5"),
    "RT205": ('mask diffedit "cat"->"dog" «strenght»=0.4', 'mask diffedit "cat"->"dog" strength=0.4'),
    "RT206": ("invert ddim steps=20 «steps=50»", "invert ddim steps=50"),
    "RT207": ('invert ddim steps=«"50"»', "invert ddim steps=50"),
    "RT208": ('mask diffedit "cat"->"dog" strength=«40»', 'mask diffedit "cat"->"dog" strength=40%'),
    "RT209": ('invert ddim convention=«"targt"»', 'invert ddim convention="target"'),
    "RT210": (
        "let a = 5\nlet «a» = 6\ninvert ddim steps=a",
        "let a = 5\nlet b = 6\ninvert ddim steps=a\ninvert ddim steps=b",
    ),
    "RT211": (
        '«mask» = open "cat.png"\nmask diffedit "cat"->"dog"',
        'area = open "cat.png"\narea | invert ddim | save "o.png"',
    ),
    "RT212": ("let «a» = 5\ninvert ddim", "let a = 5\ninvert ddim steps=a"),
    "RT213": (
        '«b» | save "b.png"\nb = open "cat.png" | invert ddim',
        'b = open "cat.png" | invert ddim\nb | save "b.png"',
    ),
    "RT214": (
        'def swap(a, b) = invert ddim | attend p2p a->b\nopen "cat.png" | «swap("cat")»',
        'def swap(a, b) = invert ddim | attend p2p a->b\nopen "cat.png" | swap("cat", "dog")',
    ),
    "RT215": (
        'def swap(a, b) = invert ddim | attend p2p a->b\nopen "cat.png" | «swp»("cat", "dog")',
        'def swap(a, b) = invert ddim | attend p2p a->b\nopen "cat.png" | swap("cat", "dog")',
    ),
    "RT216": ("def a() = «a»()\ninvert ddim", "def a() = invert ddim\na()"),
    "RT217": ('use «"swap.retouch"»\ninvert ddim', 'use "swaps.retouch"\ninvert ddim'),
    "RT218": ('use «"round.retouch"»\ninvert ddim', 'use "swaps.retouch"\ninvert ddim'),
    "RT219": (
        'use "swaps.retouch"\n«use "more.retouch"»\ninvert ddim',
        'use "swaps.retouch"\nuse "more.retouch" as more\ninvert ddim | more.swap("a", "b")',
    ),
    "RT562": ('use «"sets.retouch"»\ninvert ddim', 'use "swaps.retouch"\ninvert ddim'),
    "RT220": (
        'area = mask file "m.png"\ndef f() = blend latent mask=«area»\ninvert ddim | f()',
        'area = mask file "m.png"\ndef f(area) = blend latent mask=area\ninvert ddim | f(area)',
    ),
    "RT221": ('«open "cat.png"»', 'open "cat.png" | invert ddim'),
    "RT222": ("defaults «setps»=50\ninvert ddim", "defaults steps=50\ninvert ddim"),
    "RT223": ('invert ddim | guide cfg «"cat.png"»', "invert ddim | guide cfg"),
    "RT224": (
        'invert ddim "cat"->"dog" | «open» "cat.png"',
        'open "cat.png" | invert ddim "cat"->"dog"',
    ),
    "RT226": (
        'open "cat.png" | invert ddim "x"->"y" | «mask box left=80% right=20%» | blend latent | save "o.png"',
        'open "cat.png" | invert ddim "x"->"y" | mask box left=20% right=80% | blend latent | save "o.png"',
    ),
    "RT316": (
        'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | mask attention «words=["cat", "meadow"]» '
        '| blend latent | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | mask attention words=["cat"] '
        '| blend latent | save "o.png"',
    ),
    "RT319": (
        'invert ddim "cat"->"dog" | mask box right=50% | sample | «mask dilate»',
        'invert ddim "cat"->"dog" | mask box right=50% | mask dilate | blend latent | sample',
    ),
    "RT580": (
        'mask box right=50% | distil dds "cat"->"dog" | «blend latent»',
        'mask box right=50% | distil dds "cat"->"dog" | blend pixel',
    ),
    "RT227": (
        'open "cat.png" | invert ddim "x"->"y" | «mask diffedit clamp=2 ceiling=0.1» | blend latent | save "o.png"',
        'open "cat.png" | invert ddim "x"->"y" | mask diffedit ceiling=0.1 | blend latent | save "o.png"',
    ),
    "RT228": (
        'open "cat.png" | invert ddim "x"->"y" | mask color «"orange"» | blend latent | save "o.png"',
        'open "cat.png" | invert ddim "x"->"y" | mask color "#ff8000" | blend latent | save "o.png"',
    ),
    "RT301": ("invert ddim | «blend latent»", 'invert ddim | mask diffedit "cat"->"dog" | blend latent'),
    "RT302": (
        'invert ddim | «mask diffedit "cat"->"dog"» | mask attention | blend latent',
        'invert ddim | mask diffedit "cat"->"dog" | blend latent',
    ),
    "RT303": (
        'invert ddim | model "other" | «sample»',
        'invert ddim | model "storybook" | sample',
    ),
    "RT304": (
        'a = open "c.png"\na | invert ddim "x"->"y" | blend latent mask=«a» | save "o.png"',
        'a = open "c.png"\nm = mask file "m.png"\na | invert ddim "x"->"y" | blend latent mask=m | save "o.png"',
    ),
    "RT305": (
        'invert ddim "cat"->"dog" | attend p2p «"meadow"->"beach"»',
        'invert ddim "cat"->"dog" | attend p2p edit="meadow"->"beach"',
    ),
    "RT306": (
        'open "cat.png" caption="a cat" | invert ddim «"dgo"»->"fox" | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim "cat"->"fox" | save "o.png"',
    ),
    "RT307": ("invert ddim | «attend p2p»", 'invert ddim | attend p2p "cat"->"dog"'),
    "RT308": (
        'open "cat.png" | invert ddim «+"a hat"» | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim +"a hat" | save "o.png"',
    ),
    "RT309": (
        'def a() = invert ddim\ndef b() = mask file "m.png"\n«first(a(), b())» | sample',
        "def a() = invert ddim\ndef b() = invert null_text\nfirst(a(), b()) | sample",
    ),
    "RT310": (
        'invert ddim | attend p2p "cat"->"dog" | «attend masactrl»',
        'invert ddim | attend p2p "cat"->"dog" | attend masactrl start=40%',
    ),
    "RT311": (
        'open "cat.png" caption="a white cat" | invert ddim "white cat"->"dog" «"cat"»->"fox" | save "o.png"',
        'open "cat.png" caption="a white cat" | invert ddim "white cat"->"dog" | save "o.png"',
    ),
    "RT312": (
        '«invert ddim "cat"->"dog" steps=10 strength=5%»',
        'invert ddim "cat"->"dog" steps=10 strength=10%',
    ),
    "RT313": ('invert ddim «"cat"->"cat"»', 'invert ddim "cat"->"dog"'),
    "RT318": (
        'open "cat.png" caption="a cat" | invert ddim «"a cat"» | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim "a dog" | save "o.png"',
    ),
    "RT314": (
        'open "cat.png" caption="a cat" | invert ddim "cat"->"a «(dog:1.3)»" | attend p2p | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim "cat"->"a dog"*1.3 | attend p2p | save "o.png"',
    ),
    "RT315": (
        'invert ddim steps=5 | «attend masactrl "cat"->"dog" start=90%»',
        'invert ddim steps=5 | attend masactrl "cat"->"dog" start=80%',
    ),
    "RT323": (
        '«schedule levels at=[999, 600, 200]» | invert ddim "cat"->"dog" steps=20',
        'schedule levels at=[999, 600, 200] | invert ddim "cat"->"dog" steps=3',
    ),
    "RT322": ('invert edict "cat"->"dog" | «solver heun»', 'invert ddim "cat"->"dog" | solver heun'),
    "RT317": ('«invert ddim "cat"->"dog" steps=1000»', 'invert ddim "cat"->"dog" steps=999'),
    "RT325": (
        'invert ddim "cat"->"dog" | «guide semantic scale=64»',
        'invert ddim "cat"->"dog" | guide semantic scale=2',
    ),
    "RT326": (
        'model "storybook_pixels"\n«invert null_text» | guide cfg',
        'model "storybook_pixels"\ninvert ddim | guide cfg',
    ),
    "RT327": (
        'model "storybook_pixels"\ninvert ddim «"cat"->"dog"» strength=50%',
        'model "storybook_pixels"\ninvert ddim strength=50%',
    ),
    "RT328": (
        'model "storybook_pixels"\ninvert ddim | guide cfg «guidance=5»',
        'model "storybook_pixels"\ninvert ddim | guide cfg guidance=1',
    ),
    "RT329": (
        'model "guided.safetensors"\ninvert ddim «"cat"->"207"»',
        'model "guided.safetensors"\ninvert ddim "281"->"207"',
    ),
    "RT320": ('«invert rf_solver "cat"->"dog"»', 'invert fixed_point "cat"->"dog"'),
    "RT321": ('invert ddim "cat"->"dog" | «guide distilled»', 'invert ddim "cat"->"dog" | guide cfg'),
    "RT401": (
        'open «"*.pgn"» | invert ddim | save "{name}-o.png"',
        'open "ca*.png" | invert ddim | save "{name}-o.png"',
    ),
    "RT402": ('open «"cta.png"» | invert ddim | save "o.png"', 'open "cat.png" | invert ddim | save "o.png"'),
    "RT403": ('open «"../x.png"» | invert ddim | save "o.png"', 'open "x.png" | invert ddim | save "o.png"'),
    "RT404": (
        'open «"wide.png"» | invert ddim | save "o.png"',
        'open "wide.png" size=64 | invert ddim | save "o.png"',
    ),
    "RT563": (
        'open "large.png" | «invert ddim "cat"->"dog"» | save "o.png"',
        'open "large.png" size=64 | invert ddim "cat"->"dog" | save "o.png"',
    ),
    "RT405": (
        'open "cat.png" | invert ddim "x"->"y" | save "o.png"\nopen "cat.png" | invert ddim "x"->"z" | save «"o.png"»',
        'open "cat.png" | invert ddim "x"->"y" | save "o.png"\nopen "cat.png" | invert ddim "x"->"z" | save "p.png"',
    ),
    "RT406": (
        'open "cat.png" | invert ddim "x"->"y" | save «"{nmae}-2.png"»',
        'open "cat.png" | invert ddim "x"->"y" | save "{name}-2.png"',
    ),
    "RT247": (
        'open "cat.png" | invert ddim "x"->"y" | save «"$name-2.png"»',
        'open "cat.png" | invert ddim "x"->"y" | save "{name}-2.png"',
    ),
    "RT407": (
        'open "c.png" | invert ddim "x"->"y" | save «"c.png"»',
        'open "c.png" | invert ddim "x"->"y" | save "o.png"',
    ),
    "RT410": (
        'let (a, b) = [("x", 1), «("y")»]\ninvert ddim a->"z" steps=b',
        'let (a, b) = [("x", 1), ("y", 2)]\ninvert ddim a->"z" steps=b',
    ),
    "RT411": ('«a» = open "cat.png"', 'a = open "cat.png"\na | invert ddim "cat"->"dog"'),
    "RT412": ('model «"stroybook"»\ninvert ddim', 'model "storybook"\ninvert ddim'),
    "RT416": ('model «"torn"»\ninvert ddim', 'model "storybook"\ninvert ddim'),
    "RT425": (
        'open "cat.png" | invert ddim | save «"new.gif"»',
        'open "cat.png" | invert ddim | save "new.webp"',
    ),
    "RT426": (
        'open "cat.png" | invert ddim | save "new.png" «quality=80»',
        'open "cat.png" | invert ddim | save "new.jpg" quality=80',
    ),
    "RT427": (
        'open "cat.png" | invert ddim | save «"m.png/new.png"»',
        'open "cat.png" | invert ddim | save "m/new.png"',
    ),
    "RT417": (
        'open "cat.png" | invert ddim | «mask file "labels.png"» | blend latent | save "o.png"',
        'open "cat.png" | invert ddim | mask file "labels.png" label=3 | blend latent | save "o.png"',
    ),
    "RT413": (
        'open «"https://x.org/a.png"» | invert ddim | save "o.png"',
        'open "a.png" | invert ddim | save "o.png"',
    ),
    "RT335": (
        'w = open "wide.png"\nopen "cat.png" | mask box right=50% | «blend pixel image=w» | save "o.png"',
        'w = open "dog.png"\nopen "cat.png" | mask box right=50% | blend pixel image=w | save "o.png"',
    ),
    "RT246": (
        'open "cat.png" caption="a cat" | «invert ddim "cat"*2» | save "o.png"',
        'open "cat.png" caption="a cat" | invert ddim "cat"*2 | attend p2p | save "o.png"',
    ),
    "RT336": (
        'open "cat.png" | mask box right=50% | «blend pixel» | save "o.png"',
        'open "cat.png" | mask box right=50% | invert ddim | blend pixel | save "o.png"',
    ),
    "RT415": (
        'open "cat.png" | invert ddim | save «"dog.png"»',
        'open "cat.png" | invert ddim | save "dog-2.png"',
    ),
    "RT440": (
        'open "cat.png" | invert ddim | save «"touched.png"»',
        'open "cat.png" | invert ddim | save "touched-2.png"',
    ),
    "RT504": ('open «"torn.png"» | invert ddim | save "o.png"', 'open "cat.png" | invert ddim | save "o.png"'),
}


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_code_is_reported_at_its_place(checked, code):
    text, start, end = marked(EXAMPLES[code][0])
    found = [item for item in checked(text).diagnostics if item.code == code]
    assert [(item.span.start, item.span.end) for item in found] == [(start, end)]
    assert "{" not in found[0].message.replace("{nmae}", "")


@pytest.mark.parametrize("code", EXAMPLES)
def test_its_mend_is_clean(checked, code):
    found = checked(EXAMPLES[code][1])
    assert not [(item.code, item.message) for item in found.diagnostics]
    assert found.graphs


@pytest.mark.parametrize("code", EXAMPLES)
def test_nothing_else_is_said_about_the_same_mistake(checked, code):
    text, *_ = marked(EXAMPLES[code][0])
    alone = {"RT211": {"RT211"}, "RT411": {"RT411", "RT212"}}
    assert {item.code for item in checked(text).diagnostics} <= alone.get(code, {code, "RT212"})


@pytest.mark.parametrize("code", [code for code in EXAMPLES if CODES[code].example])
def test_what_explain_shows_is_true(checked, code):
    assert code in {item.code for item in checked(CODES[code].example).diagnostics}
    assert not [item for item in checked(CODES[code].mend).diagnostics if item.code != "RT212"]


def test_independent_errors_are_all_reported_at_once(checked):
    found = checked(
        'photo = open "cat.png" caption="a cat"\n'
        'area = photo | mask diffedit "cat"->"dog" strenght=0.4\n'
        "photo | invert nulltext | sample guidance=strong\n"
        'photo | invert ddim steps="50" | msk box\n'
        'dog | save "o.png"\n'
    )
    assert [item.code for item in found.errors] == ["RT205", "RT202", "RT204", "RT207", "RT201", "RT201"]


def test_wiring_errors_of_several_flows_are_reported_together(checked):
    found = checked(
        'open "cat.png" | invert ddim | blend latent | save "1.png"\n'
        'open "cat.png" | invert ddim | attend p2p | save "2.png"\n'
        'open "dog.png" | invert ddim "a"->"b" | invert ddim | sample steps=3 | save "cat.png"\n'
    )
    assert [item.code for item in found.errors] == ["RT301", "RT307", "RT205"]
    found = checked(
        'open "cat.png" | invert ddim | blend latent | save "1.png"\n'
        'open "dog.png" | invert ddim | attend p2p | save "2.png"\n'
    )
    assert [item.code for item in found.errors] == ["RT301", "RT307"]


def test_a_mistake_in_the_text_hides_only_what_follows_from_it(checked):
    found = checked('let a = 5\ninvert ddim steps=5* | sample guidance=a\nmask diffedit "a"->"b" strenght=1\n')
    codes = [item.code for item in found.errors]
    assert codes[0].startswith("RT1")
    assert "RT205" in codes
    assert "RT212" not in {item.code for item in found.diagnostics}


def test_a_flow_named_after_a_pipe_is_told_that_it_begins_one_wherever_it_is_made(checked):
    made, used = 'dog = invert ddim "a"->"b"\n', "dog\ninvert ddim | dog\n"
    above, below = made + used, used.removeprefix("dog\n") + made + "dog\n"
    assert [[item.code for item in checked(text).errors] for text in (above, below)] == [["RT224"], ["RT224"]]


def test_experimental_stages_warn_and_run(checked):
    found = checked('invert ddim | blend local "cat"->"dog"')
    assert [(item.code, item.span.start) for item in found.diagnostics] == [("RT907", 14)]
    assert found.graphs


def test_no_image_is_reported_where_one_is_needed(checked):
    (item,) = checked('mask diffedit "cat"->"dog"', pictures=()).errors
    assert (item.code, item.span.start) == ("RT408", 0)


def test_every_wiring_code_is_shown_here():
    raised = {code for code in CODES if "RT201" <= code < "RT500"}
    elsewhere = {"RT225", "RT408", "RT409"}  # about the command line: test_graph_options, test_graph_files
    elsewhere |= {"RT428"}  # about what Python gives: test_python_door
    elsewhere |= {"RT430", "RT431"}  # about models of the hub: test_models_get, test_models_refused
    elsewhere |= {"RT432", "RT433"}  # about files beside a model: test_single_file_recipes
    elsewhere |= {f"RT24{i}" for i in range(5)}  # about flows in brackets: test_flow_values, test_stranger_studio
    elsewhere |= {"RT434", "RT435"}  # the same in one turn, and weights of plugins: test_tune_lora, test_stranger
    elsewhere |= {"RT455", "RT456", "RT457"}  # files of tuned weights: test_tune_weights
    elsewhere |= {"RT458"}  # what a tuning has learnt to say: test_tune_single
    elsewhere |= {f"RT{code}" for code in (464, 465, 466, 467, 469)}  # what is learnt of a subject: test_tune_subject
    elsewhere |= {"RT436"}  # controls behind windows: test_multidiffusion
    elsewhere |= {"RT451", "RT452", "RT453", "RT454", "RT460"}  # signing; extras: test_credentials, test_wheel
    elsewhere |= {"RT459"}  # a file that -o names: test_outputs
    elsewhere |= {"RT450"}  # networks named beside the model: test_eyes
    elsewhere |= {"RT418", "RT419", "RT422"}  # about files beside pictures: test_case_files, test_foreign_prompts
    elsewhere |= {"RT461", "RT462"}  # about journals and locks: test_crafted_journals, test_held_locks
    elsewhere |= {"RT245", "RT463", "RT468"}  # test_scene_meshes, test_lora, test_led_by_one_step
    assert raised - elsewhere <= EXAMPLES.keys()


def marked(text: str) -> tuple[str, int, int]:
    """The text without its marks, and where they stood."""
    start = text.index("«")
    plain = text.replace("«", "").replace("»", "")
    return plain, start, text.index("»") - 1
