"""Plugins with one mistake each, as text: what stands in the module, the flow that uses it, and what is said of it."""

# ruff: noqa: E501 - a table of programs, one a line

from __future__ import annotations

from dataclasses import dataclass

HEAD = """
import os, sys, threading, warnings, asyncio, signal
from typing import Annotated
import torch
from torch.nn import functional as F
from retouch.api import (Blend, Codec, Denoiser, Edit, Ending, Guidance, Outbox, Image, Latents, Mask, Prediction, Rule, Schedule, SourcePrompt, TextEncoder, Touch,
                         Trajectory, call, gather, stage)
"""
MASK = 'open "cat.png" | mask {name} | save mask "{name}.png"'
INVERT = 'open "cat.png" | invert {name} "cat"->"dog" steps=2 | save "{name}.png"'
GUIDE = 'open "cat.png" | invert ddim "cat"->"dog" steps=2 | guide {name} | save "{name}.png"'
BLEND = 'open "cat.png" | invert ddim "cat"->"dog" steps=2 | blend {name} | save "{name}.png"'
ATTEND = 'open "cat.png" | invert ddim "cat"->"dog" steps=2 | attend {name} | save "{name}.png"'
FINE = "Mask(torch.ones(image.size))"


@dataclass(frozen=True)
class Fault:
    """One plugin: `name` is its method, and its plugin's name is `f_NAME`."""

    name: str
    source: str
    flow: str
    said: str  # of the plugin, by the command that runs it
    fails: bool = True  # whether its own result is missing


def mask(name: str, body: str, said: str, *, is_async: bool = True, fails: bool = True) -> Fault:
    """A mask whose body is this."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    head = f'@stage("mask", "{name}")\n{"async " if is_async else ""}def {name}(image: Image) -> Mask:\n    """X."""\n'
    return Fault(name, head + lines, MASK.format(name=name), said, fails)


def guide(name: str, body: str, said: str) -> Fault:
    """A guidance whose inner function is this."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    head = f'@stage("guide", "{name}", facts={{"guide": 1}})\ndef {name}() -> Guidance:\n    """X."""\n'
    return Fault(name, head + lines, GUIDE.format(name=name), said)


def attend(name: str, touch: str, act: str, said: str) -> Fault:
    """A control with one function."""
    head = f'@stage("attend", "{name}", touches=({touch},))\ndef {name}(edit: Edit):\n    """X."""\n'
    return Fault(name, f"{head}    def act(attn):\n        {act}\n    return (act,)", ATTEND.format(name=name), said)


def invert(name: str, body: str, said: str, rows: str = "0") -> Fault:
    """An inversion whose body is this."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    ports = "latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule"
    head = f'@stage("invert", "{name}", rows="{rows}")\nasync def {name}({ports}) -> Trajectory:\n    """X."""\n'
    return Fault(name, head + lines, INVERT.format(name=name), said)


def walking(name: str, begin: str, step: str, said: str) -> Fault:
    """A solver whose two methods are these."""
    rule = f"class R:\n    def begin(self, x): {begin}\n    async def __call__(self, state, step, predict): {step}\n"
    head = f'@stage("solver", "{name}", facts={{"predictions": 1}})\ndef {name}() -> Rule:\n    """X."""\n'
    flow = f'open "cat.png" | invert ddim "cat"->"dog" steps=2 | solver {name} | save "{name}.png"'
    return Fault(name, f"{rule}{head}    return R()", flow, said)


def saving(name: str, body: str, said: str) -> Fault:
    """An output whose body is this."""
    ports = 'image: Image, outbox: Outbox, *, path: Annotated[str, Ending("picture")]'
    head = f'@stage("save", "{name}")\ndef {name}({ports}) -> None:\n    """X.\n\n    path: x.\n    """\n    {body}'
    return Fault(name, head, f'open "cat.png" | save {name} "{name}.png"', said)


RUNNING = [
    # what is raised
    mask("exits", f"sys.exit(3)\nreturn {FINE}", "'mask exits' failed: it raised SystemExit"),
    mask("interrupts", "raise KeyboardInterrupt", "'mask interrupts' failed: it raised KeyboardInterrupt"),
    mask("closes", "raise GeneratorExit", "'mask closes' failed: it raised GeneratorExit"),
    mask("cancels", "raise asyncio.CancelledError", "'mask cancels' failed: CancelledError"),
    mask("recurses", "def f(): return f()\nreturn f()", "'mask recurses' failed: maximum recursion depth"),
    mask("raises", "raise ValueError('no')", "'mask raises' failed: no (f_raises.py"),
    mask("keyless", "return {}['share']", "'mask keyless' failed: KeyError: 'share' (f_keyless.py"),
    mask("exits_plainly", "sys.exit(3)", "'mask exits_plainly' failed: it raised SystemExit", is_async=False),
    mask(
        "clings", "try:\n    await call(len, None)\nexcept BaseException:\n    await asyncio.sleep(0)", "'mask clings'"
    ),
    # what is returned
    mask("nothing", "pass", "'mask nothing' has to give a Mask, data [h, w] in [0, 1], and gave nothing"),
    mask("tensor", "return torch.ones(image.size)", "'mask tensor' has to give a Mask"),
    mask("picture", "return image", "'mask picture' has to give a Mask, data [h, w] in [0, 1], and gave a Image"),
    mask("five", "return Mask(torch.full(image.size, 5.0))", "'mask five' has to give a Mask, data [h, w] in [0, 1]"),
    mask("nan", "return Mask(torch.full(image.size, torch.nan))", "'mask nan' made values that are not finite"),
    mask(
        "half", f"return Mask({FINE}.data.half())", "'mask half' has to give a Mask, data [h, w] in [0, 1] as float32"
    ),
    mask(
        "smaller",
        "return Mask(torch.ones(7, 9))",
        "'mask smaller' has to give a Mask as large as its picture, [64, 64]",
    ),
    mask("whole", "return Mask(torch.ones(image.size, dtype=torch.int64))", "as float32, and gave int64"),
    mask("elsewhere", "return Mask(torch.ones(image.size, device='meta'))", "on cpu, and gave one on meta"),
    mask(
        "graph",
        f"return Mask({FINE}.data.requires_grad_())",
        "'mask graph' has to give a Mask, data [h, w] in [0, 1] w",
    ),
    mask("yields", f"yield {FINE}", "'mask yields' has to give a Mask, data [h, w] in [0, 1], and gave a generator"),
    mask("forgets", f"async def later(): return {FINE}\nreturn later()", "gave a coroutine that nobody awaits"),
    mask("classy", "return Mask", "and gave the class Mask itself"),
    invert("flat", "return Trajectory(schedule, latents.data[None].repeat(3, 1, 1, 1), None)", "'invert flat' failed"),
    invert(
        "ruleless",
        "x = latents.data[None, None].repeat(3, 1, 1, 1, 1)\nreturn Trajectory(schedule, x, None)",
        "with a rule",
    ),
    invert(
        "thin",
        "x = latents.data[None, None, :1].repeat(3, 1, 1, 1, 1)\nreturn Trajectory(schedule, x, len)",
        "states [",
    ),
    # what is written to
    mask("blackens", f"image.data.zero_()\nreturn {FINE}", "'mask blackens' wrote into what it was given as 'image'"),
    mask(
        "blackens_unseen",
        f"image.data.data.zero_()\nreturn {FINE}",
        "'mask blackens_unseen' wrote into what it was given",
    ),
    mask(
        "blackens_numpy",
        f"image.data.numpy()[:] = 0\nreturn {FINE}",
        "'mask blackens_numpy' wrote into what it was given",
    ),
    invert(
        "tunes",
        "with torch.no_grad():\n    [w.zero_() for w in model.core.base.values()]\nreturn None",
        "'invert tunes' wrote into what it was given as 'model'",
    ),
    # what is left changed
    mask(
        "dtype",
        f"torch.set_default_dtype(torch.float64)\nreturn {FINE}",
        "of 'f_dtype' changed the default dtype",
        fails=False,
    ),
    mask(
        "grad",
        f"torch.set_grad_enabled(True)\nreturn {FINE}",
        "changed whether gradients are kept",
        fails=False,
        is_async=False,
    ),
    mask(
        "seeds", f"torch.manual_seed(1)\nreturn {FINE}", "of 'f_seeds' changed the state of torch's random", fails=False
    ),
    mask(
        "draws", "return Mask(torch.rand(image.size))", "of 'f_draws' changed the state of torch's random", fails=False
    ),
    mask(
        "moves", f"os.chdir('/')\nreturn {FINE}", "of 'f_moves' changed the folder that the process is in", fails=False
    ),
    mask(
        "strict", f"warnings.simplefilter('error')\nreturn {FINE}", "of 'f_strict' changed the filters of", fails=False
    ),
    mask(
        "patches", f"F.silu = torch.relu\nreturn {FINE}", "of 'f_patches' changed a function of torch.nn", fails=False
    ),
    mask("deafens", f"signal.signal(2, signal.SIG_IGN)\nreturn {FINE}", "changed the handler of Ctrl-C", fails=False),
    mask(
        "hooks_torch",
        "from torch.nn.modules import module\n"
        f"module.register_module_forward_hook(lambda m, i, o: o * 0 if torch.is_tensor(o) else o)\nreturn {FINE}",
        "of 'f_hooks_torch' changed what torch calls at every module",
        fails=False,
    ),
    mask(
        "unloads",
        f"sys.modules.pop('torch'), sys.modules.pop('retouch.api')\nreturn {FINE}",
        "of 'f_unloads' changed which modules there are",
        fails=False,
    ),
    mask("paths", f"sys.path.clear()\nreturn {FINE}", "changed where modules are looked for", fails=False),
    mask("reseeds", f"import random\nrandom.seed(3)\nreturn {FINE}", "the state of Python's random", fails=False),
    mask("writes_otherwise", f"import locale\nlocale.setlocale(locale.LC_ALL, 'C')\nreturn {FINE}", "", fails=False),
    mask(
        "logs",
        f"import logging\nlogging.basicConfig(level=1, force=True)\nreturn {FINE}",
        "of 'f_logs' changed what is logged, and where",
        fails=False,
    ),
    mask(
        "collects",
        f"import gc\ngc.enable()\nsys.setrecursionlimit(99)\nreturn {FINE}",
        "of 'f_collects' changed how deep calls may go",
        fails=False,
    ),
    mask(
        "environs",
        f"os.environ['RETOUCH_PLUGINS'] = 'none'\nreturn {FINE}",
        "of 'f_environs' changed the environment",
        fails=False,
    ),
    mask(
        "repeats",
        f"torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())\nreturn {FINE}",
        "of 'f_repeats' changed whether torch repeats its sums",
        fails=False,
    ),
    mask("speaks", f"print('one'); sys.stdout.write('two')\nreturn {FINE}", "f_speaks: one\n", fails=False),
    # what is awaited
    mask(
        "unawaited",
        f"call(len, image.data)\nreturn {FINE}",
        "f_unawaited: 'unawaited' begins 'call' and never awaits it (f_unawaited.py, line 11): write 'await'",
        fails=False,
    ),
    mask(
        "multiplies", "x = call(len, image.data)\nreturn Mask(image.data[0] * x)", "'coroutine'; is an 'await' missing?"
    ),
    mask(
        "sleeps", f"await asyncio.sleep(0)\nreturn {FINE}", "'mask sleeps' failed: it awaits nothing, and a stage may"
    ),
    mask(
        "loops",
        f"await asyncio.sleep(1)\nreturn {FINE}",
        "no running event loop; a stage awaits what retouch.api gives it",
    ),
    mask("gathers", "await gather([(x for x in ())])", "'mask gathers' failed: it awaits a generator, and a stage may"),
    mask("calls_none", "await call(torch.relu, None)", "'mask calls_none' failed"),
    mask(
        "calls_short", "await call(lambda x: x[:0], image.data)", "'mask calls_short' failed: a batched function gave 0"
    ),
    mask(
        "unhashable",
        "class F(dict): __call__ = len\nawait call(F(), image.data)",
        "'mask unhashable' failed: unhashable",
    ),
    # functions that others call
    guide("returns_none", "async def g(*five): return None\nreturn g", "report it to f_returns_none"),
    guide("takes_two", "async def g(a, b): return None\nreturn g", "'guide takes_two' has to give an async function"),
    guide("no_function", "return 3", "'guide no_function' has to give an async function"),
    guide("plain", "def g(*five): return 3\nreturn g", "a guidance that is an async function, and gave a int"),
    guide("fails_late", "async def g(*five): raise SystemExit(1)\nreturn g", "report it to f_fails_late"),
    guide("quits_late", "async def g(*five): return 1 / 0\nreturn g", "division by zero (f_quits_late.py, line"),
    walking("reshapes", "return x[None, :, :2]", "return state", "whose begin(x) returns a state"),
    walking("begins_nothing", "return None", "return state", "report it to f_begins_nothing"),
    walking("walks_nowhere", "return x[None]", "return None", "report it to f_walks_nowhere"),
    walking("walks_thinly", "return x[None]", "return state[:, :1]", "whose async call returns a state"),
    saving("writes_nothing", "pass", "'save writes_nothing' has to give the file 'writes_nothing.png', and gave none"),
    saving("writes_empty", "with outbox.file(path): pass", "the file 'writes_empty.png', and gave an empty one"),
    saving(
        "writes_elsewhere", "with outbox.file('one.png') as f: f.write(b'x')", "is not the file that a stage of this"
    ),
    Fault(
        "stepless",
        '@stage("schedule", "stepless")\ndef stepless(schedule: Schedule) -> Schedule:\n    """X."""\n'
        "    return schedule.tail(0)",
        'open "cat.png" | schedule stepless | invert ddim "cat"->"dog" steps=2 | save "stepless.png"',
        "'schedule stepless' has to give a Schedule whose steps go down in noise, and gave one without a step",
    ),
    Fault(
        "ruins",
        '@stage("blend", "ruins")\ndef ruins() -> Blend:\n    """X."""\n    return Blend(lambda *four: None)',
        BLEND.format(name="ruins"),
        "report it to f_ruins",
    ),
    attend("other_tensor", 'Touch("self", "transform", "qk")', "attn.v.zero_()", "'v' is not to be had here"),
    attend("other_rows", 'Touch("self", "transform", "q")', "attn.q.zero_()", "'f_other_rows' writes 'q' in rows"),
    attend("reads_only", 'Touch("self", "read", "q", rows="*")', "attn.q.zero_()", "'f_reads_only' writes 'q' in rows"),
    attend(
        "other_maps",
        'Touch("cross", "replace", "probs")',
        "attn.probs[0] = attn.probs[1]",
        "'f_other_maps' writes maps",
    ),
    attend(
        "wrong_maps",
        'Touch("cross", "replace", "probs", rows="*")',
        "attn.probs[0] = attn.probs[0][0]",
        "writes a map [",
    ),
    attend(
        "few", 'Touch("self", "read", "q"), Touch("self", "read", "k")', "pass", "returns 1 functions for 2 touches"
    ),
    attend("exits_deep", 'Touch("self", "read", "q")', "raise SystemExit", "report it to f_exits_deep"),
]
