"""What may be typed: the commands of `retouch`, and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from retouch.cli import WRONG_COMMAND, meant, words
from retouch.cli.without import add_no_plugin
from retouch.paths import is_there
from retouch.version import __version__

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["_Brief"]  # pyright: ignore[reportPrivateUsage]

PLAIN = ("fmt", "json", "explain", "status")  # commands that look at no plugin

WHERE = (
    "Each result is a file: the one that 'save' names in the recipe, from the recipe's folder on; otherwise "
    "NAME-edited.png in this folder.  -o FILE takes its place, and -o FOLDER holds all of them."
)


class _Brief(argparse.ArgumentParser):
    """Says what is wrong with a line in one sentence, and where more stands; argparse prints all options before it."""

    def error(self, message: str) -> NoReturn:
        """End with the code of a wrong command line."""
        choice = re.fullmatch(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            said = meant.command(choice[1], re.findall(r"[\w-]+", choice[2]))
            message = f"there is no command '{choice[1]}'{said and f'; {said}'}"
        self.exit(WRONG_COMMAND, f"{self.prog}: {message}\n  = help: see {self.prog} --help\n")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the line; files and words may stand before and after options, which argparse alone refuses."""
    known = parser()
    args, rest = known.parse_known_args(argv)
    many = next((given for name in ("paths", "words") if isinstance(given := getattr(args, name, None), list)), None)
    if rest and (many is None or any(word.startswith("-") for word in rest)):
        dashed = [f"./{word}" for word in rest if word.startswith("-") and is_there(Path(word))]
        mend = f"; a file whose name begins with '-' is {' '.join(dashed)}" if dashed else ""
        said = "" if mend else meant.option(_of_command(known, args.command), rest)
        known.error(f"unrecognized arguments: {' '.join(rest)}{mend}{said and f'; {said}'}")
    if rest and many is not None:
        many += rest
    return args


def _of_command(parser: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    subparsers = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]
    (commands,) = (each for each in parser._actions if isinstance(each, subparsers))
    return commands.choices[command]


@cache  # a notebook and the tests run many commands in one process
def parser() -> argparse.ArgumentParser:
    """All commands, each with its options."""
    parser = _Brief(
        prog="retouch",
        description="Edit images with diffusion models, by recipe.",
        epilog="Answers go to standard output, what is wrong to standard error; --json gives both to programs, as "
        "JSON on standard output.  Exit codes: 0 done; 1 the recipe or every picture is wrong, nothing ran; 2 wrong "
        "command line; 3 some pictures are wrong or failed, the rest is delivered; 4 the run failed; 5 the same "
        "but for another machine's rounding (rerun --verify); 130 interrupted, 143 by SIGTERM, 129 by SIGHUP.",
    )
    parser.add_argument("--version", action="version", version=f"retouch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    fmt = _command(commands, "fmt", "Lay recipes out in the one way.")
    fmt.add_argument("paths", nargs="+", metavar="RECIPE", help="files to rewrite, or '-' to print")
    fmt.add_argument("--check", action="store_true", help="only say which would change")
    json_ = _command(commands, "json", "Turn a recipe into JSON, and JSON into a recipe.")
    json_.add_argument("path", metavar="RECIPE", help="a recipe, a .json file, or '-'")
    _add_listings(commands)
    _add_results(commands)
    bench = _command(commands, "bench", "Measure with a benchmark that a plugin brings.")
    help_ = "the benchmark and its own options; without, those that there are"
    bench.add_argument("words", nargs=argparse.REMAINDER, metavar="NAME …", help=help_)
    return parser


def _command(commands: Commands, name: str, help_: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=help_)
    parser.register("action", None, words.Once)
    parser.set_defaults(module=name)
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs")
    if name not in PLAIN:
        add_no_plugin(parser)
    return parser


def _add_run(commands: Commands) -> None:
    one, many = "RECIPE or '-', then images; with -e all are images", "recipes (.retouch or '-'), then images"
    _of_a_run(_command(commands, "run", "Run a recipe on images."), one)
    _of_a_run(_command(commands, "plan", "Show the stages that would run, what is put in, and what it costs."), one)
    _of_a_run(_command(commands, "check", "Report everything that is wrong with what 'run' would be given."), many)
    graph = _command(commands, "graph", "Draw the stages that would run, and what goes from one to another.")
    _of_a_run(graph, many)
    graph.add_argument("--format", choices=["mermaid", "dot", "svg"], default="mermaid", help="mermaid by default")
    graph.add_argument(
        "--to", dest="picture", type=words.target, metavar="FILE", help="write the drawing there instead of printing it"
    )


def _of_a_run(parser: argparse.ArgumentParser, paths: str) -> None:
    """What a run is told; the commands that only look at one are told the same, so that any can stand for another."""
    parser.epilog = WHERE
    parser.add_argument("paths", nargs="*", metavar="PATH", help=paths)
    parser.add_argument(
        "-e", dest="text", type=words.spoken, metavar="TEXT", help="the recipe itself, instead of a file"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=words.spoken,
        metavar="NAME=VALUE",
        help="change a 'let' or a default",
    )
    parser.add_argument("--caption", type=words.spoken, metavar="TEXT", help="what the images show")
    parser.add_argument("--seed", metavar="N", help="of all noise; 0 by default")
    parser.add_argument("--model", type=words.name, metavar="M", help="a model's name or folder")
    parser.add_argument(
        "--allow", action="append", default=[], type=words.there, metavar="DIR", help="a folder it may use too"
    )
    help_ = "a file for one result (dog.png), a folder for many (out)"
    parser.add_argument("-o", dest="output", type=words.target, metavar="OUT", help=help_)
    parser.add_argument("--force", action="store_true", help="replace files that retouch did not make")
    parser.add_argument("--again", action="store_true", help="make also what is there already")
    parser.add_argument(
        "--no-store", action="store_true", help="neither take inversions, masks and tunings of other runs nor keep any"
    )
    parser.add_argument(
        "--stamp",
        choices=["full", "minimal", "none"],
        default="full",
        help="what results say of themselves: all that makes them again, which is the default; versions alone; or "
        "nothing, and then the folder's journal alone knows them",
    )
    _add_signing(parser)
    _add_machine(parser)


def _add_signing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sign", type=words.name, metavar="NAME", help="sign results: 'c2pa' puts content credentials into pictures"
    )
    parser.add_argument(
        "--cert",
        type=words.place,
        metavar="FILE",
        help="to sign: the certificates, signer's first, or RETOUCH_SIGN_CERT",
    )
    parser.add_argument("--key", type=words.place, metavar="FILE", help="to sign: the key of it, or RETOUCH_SIGN_KEY")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=None, metavar="D", help="cuda, mps or cpu; the best there is by default")
    parser.add_argument("--dtype", default=None, choices=["float32", "float16", "bfloat16"], help="of the network")
    parser.add_argument("--exact", action="store_true", help="the same bits whatever else runs beside it")
    parser.add_argument(
        "--workers", type=words.count, metavar="N", help="processes that share the pictures, a model in each"
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        type=words.name,
        metavar="ADDRESS",
        help="share the pictures over a Ray cluster, with N workers if --workers says so; 'local' starts one here",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="on cuda: compile the network first, which takes minutes and then saves some",
    )
    parser.add_argument(
        "--vae-tiling",
        choices=["auto", "on", "off"],
        default="auto",
        help="encode and decode in tiles, in the memory of one: where pictures are large, wherever they are larger "
        "than a tile, or never",
    )


def _add_listings(commands: Commands) -> None:
    stages = _command(commands, "stages", "List the stages that are installed.")
    stages.add_argument("family", nargs="?", metavar="FAMILY")
    stages.add_argument("method", nargs="?", metavar="METHOD")
    matrix = _command(commands, "matrix", "Show which methods go together.")
    matrix.add_argument(
        "-o", dest="file", type=words.target, metavar="FILE", help="write it there instead of printing it"
    )
    explain = _command(commands, "explain", "Say what an error code means.")
    explain.add_argument("code", metavar="CODE")
    _command(commands, "plugins", "List plugins, and what is wrong with any.")
    models = _command(commands, "models", "List models; say what files are; fetch models of the hub, or remove them.")
    models.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="files, folders or names to look into; or 'get owner/name[@commit]'; or 'remove owner/name[@commit]'",
    )
    models.add_argument("--variant", metavar="V", help="with get: which weights, such as fp16; the fullest by default")
    models.add_argument(
        "--family",
        action="store_true",
        help="what each model of the installed families can do, or of those whose names have a WORD in them",
    )
    models.add_argument("--dry-run", action="store_true", help="with get: only say size, licence and place")
    from retouch.cli.commands.new_plugin import KINDS

    new = _command(
        commands, "new-plugin", "Write a plugin to begin with: it installs, keeps its laws, edits a picture."
    )
    new.set_defaults(module="new_plugin")
    new.add_argument("name", metavar="NAME", help="of the plugin and of its stage, such as softbox")
    new.add_argument("--kind", choices=KINDS, required=True, help="what it adds")
    new.add_argument("--to", dest="folder", type=words.place, metavar="FOLDER", help="where; retouch-NAME by default")
    doctor = _command(commands, "doctor", "Say what is wrong with this installation, and what to type.")
    doctor.add_argument("--plugin", metavar="NAME", help="try each stage of this plugin, and count its rows")


def _add_results(commands: Commands) -> None:
    show = _command(commands, "show", "Show the recipe inside a picture that retouch made.")
    show.add_argument("image", type=words.place, metavar="IMAGE")
    status = _command(commands, "status", "Say what became of the results of a folder, in all runs so far.")
    status.add_argument(
        "folder", nargs="?", type=words.place, default=Path(), metavar="DIR", help="this one by default"
    )
    rerun = _command(commands, "rerun", "Make a picture again from what it says of itself, and compare.")
    rerun.add_argument("image", type=words.place, metavar="IMAGE", help="a picture that retouch made")
    rerun.add_argument(
        "source", nargs="?", type=words.place, metavar="SOURCE", help="what it was made from, if that moved"
    )
    rerun.add_argument(
        "-o", dest="output", type=words.target, metavar="FILE", help="keep the new picture there, in a new file"
    )
    rerun.add_argument(
        "--verify",
        action="store_true",
        help="0 if the new picture is the same, 5 if only another kind of machine's rounding differs, else 4",
    )
    rerun.add_argument("--model", metavar="M", help="its model's name or folder here, if another")
    rerun.add_argument("--device", default=None, metavar="D", help="cuda, mps or cpu; as it was made by default")
    rerun.add_argument(
        "--allow",
        action="append",
        default=[],
        type=words.there,
        metavar="DIR",
        help="a folder to look for its files in",
    )
    rerun.add_argument("--force", action="store_true", help="replace the file that -o names")
