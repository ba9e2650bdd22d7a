"""Recipes of stages that seldom meet, drawn by a number: options at their bounds, shapes in one another."""

from __future__ import annotations

from random import Random

from retouch.plugins.signatures import Kind, Option
from tests.e2e.sessions import INSTALLED

EDITS = ['"cat"->"dog"', '+"a hat"', '"cat"->"black dog" "meadow"->"beach"', '-"orange"', '"cat"*2', '"a fox in snow"']
WORDS = ("cat", "orange", "meadow")
TURN = ("steps", "guidance", "negative", "seed")  # said once, where nothing contradicts them
FEW = {"steps", "inner_steps", "levels", "maps", "looks", "rounds", "average", "seeds", "times", "iterations", "draws"}
FLOW = ("invert fireflow", "invert rf_solver", "invert rf_inversion")  # on flow alone
CARDS = {f"{card.family} {card.method}": card for card in INSTALLED.cards}
NOISE = [name for name in CARDS if name.startswith("invert ") and name not in FLOW]
CONTROLS = ["attend p2p", "attend masactrl", "attend pnp_features", "attend background"]
GUIDES = ["guide cfg", "guide proximal", "guide semantic", "guide pix2pix_zero", "guide norm", "guide identity"]
SCHEDULES = ["schedule karras", "schedule trailing", "schedule leading", "schedule linspace", "schedule exponential"]
SOLVERS = ["solver ddim", "solver ddpm", "solver heun", "solver dpmpp"]
SHAPES = ["mask dilate", "mask erode", "mask feather", "mask threshold", "mask invert"]
ROUND = (
    "{}",
    "{}",
    "tiles multidiffusion | {}",
    "tiles ({})",
    "mask box right=60% | repaint ({}) times=2",
    "draw ({}) seeds=2 | rank change",
    "mask box left=20% right=70% | crop | {} | paste",
    "mask box left=20% right=70% | crop | upscale | mask window | tiles ({}) | narrow | paste",
)


def recipe(seed: int) -> str:
    """A recipe that can be read; whether its stages go together is for the check to say."""
    chance = Random(seed)
    if chance.random() < 0.1:
        ways = [stage(chance, chance.choice(NOISE), '"cat"->"dog"') for _ in range(2)]
        behind = chance.choice(["", " | attend p2p", " | attend p2p | blend local"])
        return f"def a() = {ways[0]} | require psnr min=60\ndef b() = {ways[1]}\nfirst(a(), b()){behind}\n"
    text = chance.choice(ROUND).format(_turn(chance, chance.choice(EDITS)))
    if chance.random() < 0.15:
        text += " | " + _turn(chance, '+"a scarf"')
    return text + "\n"


def _turn(chance: Random, edit: str) -> str:
    said = [stage(chance, chance.choice(SCHEDULES))] if chance.random() < 0.2 else []
    said.append(stage(chance, chance.choice(NOISE), edit))
    masked = chance.random() < 0.6
    if masked:
        found = [
            f"mask diffedit maps=2 threshold={chance.choice(['10%', '50%'])}",
            "mask box right=60%",
            "mask attention",
        ]
        made = chance.choice(found)
        said.append(made if made != "mask attention" else 'mask attention words=["cat"] levels=2')
        said += [stage(chance, chance.choice(SHAPES))] if chance.random() < 0.4 else []
    said += [stage(chance, each) for each in chance.sample(CONTROLS, chance.choice([0, 0, 1, 1, 2]))]
    said += [stage(chance, chance.choice(GUIDES))] if chance.random() < 0.3 else []
    said += [stage(chance, chance.choice(SOLVERS))] if chance.random() < 0.2 else []
    said += [stage(chance, "blend latent")] if masked and chance.random() < 0.7 else []
    said += [stage(chance, "blend local")] if chance.random() < 0.3 else []
    said += ["blend pixel"] if masked and chance.random() < 0.3 else []
    return " | ".join(said)


def stage(chance: Random, name: str, operand: str = "") -> str:
    """A stage with some of its options given."""
    some = [each for each in CARDS[name].options if chance.random() < 0.3 and each.name not in TURN]
    given = [f"{each.name}={value}" for each in some if (value := _value(chance, each))]
    return " ".join(filter(None, [name, operand, *given]))


def _value(chance: Random, option: Option) -> str:
    """A value that the option takes, at its bounds as often as not; nothing where none comes to mind."""
    kind = option.kind
    if kind.choices and not kind.many:
        choice = chance.choice(kind.choices)
        return f'"{choice}"' if isinstance(choice, str) else str(choice)
    if kind.type == "bool":
        return chance.choice(["true", "false"])
    if kind.type == "text":
        return f'["{chance.choice(WORDS)}"]' if kind.many and kind.words else ""
    return "" if kind.many else _number(chance, kind, option)


def _number(chance: Random, kind: Kind, option: Option) -> str:
    low, high = kind.low or 0, kind.high if kind.high is not None else 10
    if option.name in FEW:
        return str(int(max(low, chance.choice([1, 2]))))
    found = chance.choice([low, min(high, 2 * low + 20), chance.uniform(low, min(high, low + 1))])
    return str(int(found)) if kind.type == "int" else f"{found:.4g}"
