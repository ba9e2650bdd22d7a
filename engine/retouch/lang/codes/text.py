"""1xx: the text."""

from retouch.lang.codes.code import Code

TEXT = {
    "RT100": Code(
        "not-a-recipe",
        "this is not part of a recipe",
        "{mend}",
        why="The language is small: stages joined by '|', options written name=value, texts in quotes. There "
        "is no arithmetic, so this has no meaning.",
        example="invert ddim steps=5*2",
        mend="invert ddim steps=10",
    ),
    "RT101": Code(
        "open-text",
        "this text has no {which} quote",
        "type {mend}",
        why="A text begins and ends with '\"' on one line. With one of the two missing, everything after it is "
        "read the wrong way round.",
        example='open "cat.png',
        mend='open "cat.png"',
    ),
    "RT102": Code(
        "wrong-quotes",
        "text stands in plain double quotes",
        "type {mend}",
        why="Word processors turn quotes into curly ones, and other languages use single ones. Here one kind "
        "means text, so that a text may hold the others.",
        example="open 'cat.png'",
        mend='open "cat.png"',
    ),
    "RT103": Code(
        "bad-escape",
        "{what} cannot stand inside a text",
        "{mend}",
        why='A backslash in a text begins an escape, as in JSON: \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9. '
        "Paths are written with '/' on every system.",
        example=r'open "C:\pics\cat.png"',
        mend='open "C:/pics/cat.png"',
    ),
    "RT104": Code(
        "missing-pipe",
        "a '|' is missing before '{word}'",
        "stages are joined by '|': … | {word} …",
        why="Each stage hands its result to the next through '|'. Without it the second stage reads as a word "
        "of the first.",
        example='invert ddim mask diffedit "cat"->"dog"',
        mend='invert ddim | mask diffedit "cat"->"dog"',
    ),
    "RT105": Code(
        "missing-stage",
        "a stage is missing {where}",
        "{mend}",
        why="A '|' joins two stages, so one stands on each side of it. A flow goes on in the next line when "
        "that line begins with '|'.",
        example="invert ddim |",
        mend="invert ddim",
    ),
    "RT106": Code(
        "wrong-arrow",
        "what changes into what is written with '->'",
        'write -> there, as in "cat"->"dog"',
        why="An edit names what is there and what it becomes, with '->' or '→' between. Other arrows, '=' and "
        "':' mean nothing there.",
        example='invert ddim "cat"=>"dog"',
        mend='invert ddim "cat"->"dog"',
    ),
    "RT107": Code(
        "half-an-edit",
        "an edit lacks {side}",
        "write {mend}",
        why='An edit is "cat"->"dog", +"words to add", -"words to remove" or "word"*weight. A part of it is '
        "missing here.",
        example='invert ddim "cat"->',
        mend='invert ddim "cat"->"dog"',
    ),
    "RT108": Code(
        "missing-value",
        "'{name}' has no value",
        "write {mend}",
        why="After '=' and '*' stands a value: a number, a text in quotes, true, false, a list or a name that "
        "the recipe made.",
        example="invert ddim steps=",
        mend="invert ddim steps=50",
    ),
    "RT109": Code(
        "not-an-option",
        "an option is written name=value",
        "write {mend}",
        why="Options are names and values joined by one '='. ':' and '==' come from other languages and mean "
        "nothing here.",
        example="invert ddim steps:50",
        mend="invert ddim steps=50",
    ),
    "RT110": Code(
        "unquoted-text",
        "{what} is not expected here",
        "{mend}",
        why="A bare word is the name of a stage, of an option, or of something the recipe made. Texts, paths "
        "and choices stand in quotes.",
        example="open images/cat.png",
        mend='open "images/cat.png"',
    ),
    "RT111": Code(
        "comma",
        "{what}",
        "{mend}",
        why="Commas part the values inside [ ] and ( ), one between two. Outside of brackets nothing is parted "
        "by commas.",
        example="sample guidance=[3 5]",
        mend="sample guidance=[3, 5]",
    ),
    "RT112": Code(
        "bracket",
        "{what}",
        "{mend}",
        why="Each '[' has its ']' and each '(' its ')'. A list may go over several lines, breaking after '[', "
        "'(' and ','.",
        example="sample guidance=[3, 5",
        mend="sample guidance=[3, 5]",
    ),
    "RT113": Code(
        "value-without-name",
        "the value {what} has no name",
        "write its name before it: name={what}; 'retouch stages {stage}' says which there are",
        why="Only the edit, the prompt or the path of a stage goes without a name. A bare number could mean "
        "any of its options.",
        example="sample 7.5",
        mend="sample guidance=7.5",
    ),
    "RT114": Code(
        "malformed-statement",
        "{what}",
        "write it as: {mend}",
        why="The words 'retouch', 'use', 'let', 'def' and 'defaults' at the start of a line each begin a "
        "statement of one fixed form.",
        example="let strength 0.6",
        mend="let strength = 0.6",
    ),
    "RT115": Code(
        "let-missing",
        "'{name}' is given a value, not a flow",
        "write: let {name} = …",
        why="'name = …' keeps a flow and 'let name = …' keeps a value. The word says at a glance which of both "
        "a line makes.",
        example="strength = 0.6",
        mend="let strength = 0.6",
    ),
    "RT116": Code(
        "bad-number",
        "'{raw}' is not a number here",
        "write {mend}",
        why="Numbers are JSON's: digits, a point, perhaps an exponent; and 40% is 0.4. Units belong to the "
        "option's name, and a comma parts values.",
        example="sample guidance=7,5",
        mend="sample guidance=7.5",
    ),
    "RT117": Code(
        "hyphen",
        "a name has no '-'",
        "write {mend}",
        why="Names are letters, digits and '_'. A '-' before a text removes words, so it cannot be part of a name too.",
        example="invert null-text",
        mend="invert null_text",
    ),
    "RT118": Code(
        "stray-character",
        "{what} means nothing here",
        "{mend}",
        why="Characters without a meaning are refused rather than skipped, so that they can be given one "
        "later. Invisible ones are refused everywhere, for a recipe must do what it looks like.",
        example="invert ddim;",
        mend="invert ddim",
    ),
    "RT119": Code(
        "indented-statement",
        "this line is indented, but does not begin with '|'",
        "begin it with '|' to go on from the line above, or move it to the margin",
        why="A line that goes on begins with '|'. Were indentation alone enough, a lost '|' would silently "
        "make two flows of one.",
        example='open "cat.png"\n  invert ddim',
        mend='open "cat.png"\n  | invert ddim',
    ),
    "RT120": Code(
        "wrong-order",
        "{what} stands after {before}",
        "the order is: family, method, what it works on, options",
        why="Every stage is read in one order, so that every recipe looks alike and a stray word is noticed.",
        example='mask diffedit strength=0.4 "cat"->"dog"',
        mend='mask diffedit "cat"->"dog" strength=0.4',
    ),
    "RT121": Code(
        "version",
        "{what}",
        "{mend}",
        why="The line 'retouch 1' names the version of the language and comes first. A recipe without it is "
        "version 1 for ever.",
        example="invert ddim\nretouch 1",
        mend="retouch 1\ninvert ddim",
    ),
    "RT122": Code(
        "text-too-big",
        "{what}; at most {limit}",
        "split it with 'use'",
        why="A recipe is written by people. Texts far beyond that are refused before they cost any time.",
        example="let deep = " + "[" * 65 + "]" * 65,
        mend="let flat = [1, 2]",
    ),
    "RT123": Code(
        "not-utf8",
        "the file is not UTF-8 text: {what}",
        "{mend}",
        why="Recipes are UTF-8 everywhere, so that a caption reads the same on every machine. This is another "
        "encoding, or no text at all.",
    ),
    "RT124": Code(
        "joined-texts",
        "'+' joins no texts",
        "{mend}",
        why='+"a hat" adds words at the end of the caption. Between two texts, with a blank on both sides or none, it '
        "looks like a sum of texts, and what follows would be moved to the end without a word.",
        example='invert ddim "cat"->"a big " + "dog"',
        mend='invert ddim "cat"->"a big dog"',
    ),
    "RT130": Code(
        "options-behind-a-call",
        "the options of '{name}' stand inside its brackets",
        "write {name}(…, {option}=…)",
        why="A def is called with all that it takes in its brackets, by place or by name. What stands behind the "
        "brackets would be the option of a stage that works on a flow, and this is none.",
        example='def swap(a, b, how=3) = invert ddim\nopen "c.png" | swap("cat", "dog") how=2',
        mend='def swap(a, b, how=3) = invert ddim\nopen "c.png" | swap("cat", "dog", how=2)',
    ),
}
