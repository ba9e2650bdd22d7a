"""The commands of `retouch`, one module each; each has `main(args) -> exit code`."""

DONE, WRONG_RECIPE, WRONG_COMMAND, SOME_FAILED, FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


class WrongCommand(Exception):
    """The command line cannot be meant as it is written."""
