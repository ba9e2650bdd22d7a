"""9xx: plugins and what is going away."""

from retouch.lang.codes.code import Code

PLUGINS = {
    "RT901": Code(
        "api-mismatch",
        "'{plugin}' wants plugin API {wanted}; this is {have}",
        "upgrade {mend}",
        why="A plugin says which plugin API it was written for. With another one it would fail later and less "
        "clearly, so it is left out.",
    ),
    "RT902": Code(
        "plugin-broken",
        "'{plugin}' could not be loaded: {what}",
        "mend or update it, or leave it out: --no-plugin {plugin}",
        why="The plugin raised an exception while it was imported. It is left out and everything else is loaded.",
    ),
    "RT903": Code(
        "duplicate-method",
        "'{family} {method}' comes from {a} and {b}",
        "{mend}",
        why="Two installed plugins give a family a method of the same name, or one does so twice. The name of the "
        "plugin before it says which one is meant. A stage that comes with retouch keeps the bare name and needs no "
        "other.",
    ),
    "RT904": Code(
        "bad-signature",
        "'{stage}': {what}",
        "mend it in its source; 'retouch plugins' tells all that is wrong there",
        why="The signature of a stage is what recipes are checked against, read without running anything. A list must "
        "always mean one thing: several values, or several runs. What stands there otherwise than plugins/README.md "
        "has it is left out.",
    ),
    "RT905": Code(
        "unknown-hook",
        "'{plugin}' implements '{hook}', and there is no such hook",
        "{mend}",
        why="A hook that is misspelt would never be called, and nobody would know. The plugin is left out until it is "
        "mended. plugins/README.md lists the hooks.",
    ),
    "RT906": Code(
        "duplicate-type",
        "the type '{type}' is registered by {a} and by {b}",
        "ask their authors to share one class, or uninstall one of them",
        why="Stages are wired by the names of types. Two classes of one name would be taken for each other.",
    ),
    "RT907": Code(
        "experimental",
        "'{stage}' is experimental",
        "its results may change",
        why="The stage is not yet covered by the promise that a recipe gives the same result with the next version.",
        severity="warning",
    ),
    "RT908": Code(
        "engine-mismatch",
        "'{plugin}' asks for {wanted}, and this is {have}",
        "pip install --upgrade retouch {plugin}",
        why="The plugin's distribution says which versions of retouch it was made for (Requires-Dist). With another "
        "one it would fail later and less clearly, so it is left out.",
    ),
    "RT909": Code(
        "card-without-value",
        "the {setting} of '{stage}' cannot be reckoned: {what}",
        "write other options, and report it to {plugin}",
        why="What a stage costs and asks for stands beside it as expressions over its options. One that divides by "
        "zero, or comes to a text where a number is due, leaves nothing to plan with.",
    ),
    "RT920": Code(
        "bad-plugin-name",
        "'{name}' cannot be a plugin's name: {what}",
        "{mend}",
        why="The name of a plugin is the name of its stage in recipes, of a function, and the end of the name of a "
        "module.",
    ),
    "RT921": Code(
        "plugin-name-taken",
        "'{name}' is taken: there is {what}",
        "{mend}",
        why="Two plugins of one name, or two stages, could be told apart only by longer names.",
    ),
    "RT922": Code(
        "folder-in-the-way",
        "nothing is written to '{folder}': it {what}",
        "name an empty folder, or one that is not there, with --to FOLDER",
        why="A new plugin is written whole, and over nothing that is there.",
    ),
}
