"""Journals of folders with results: files that several runs write, and that anyone may have written."""

from retouch.lang.codes.code import Code

JOURNALS: dict[str, Code] = {
    "RT461": Code(
        "no-line-of-a-journal",
        "{count} of '{path}' are none of retouch's: their facts are of other types",
        "take them out if they are nobody's; results are known by the rest of it, and by what they say of themselves",
        why="A journal is a file that anyone can write in. A line counts where each of its facts has the type that a "
        "run gives it; others are passed over, and so never taken for a run, a result or a failure.",
        severity="warning",
    ),
    "RT462": Code(
        "journal-held",
        "'{path}' is locked by {who}",
        "{mend}",
        why="Runs write the journal of a folder by turns, each for a moment. One that was stopped in that moment, as "
        "by Ctrl-Z, keeps the others waiting; they go on as soon as it goes on or ends.",
        severity="warning",
    ),
}
