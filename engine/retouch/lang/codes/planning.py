"""4xx: planning: pictures, captions, places, limits.  What models lack stands in `models.py`."""

from retouch.lang.codes.code import Code

PLANNING = {
    "RT401": Code(
        "empty-glob",
        "no file matches '{path}'",
        "{mend}",
        why="A path with * or ? stands for every file that it matches. None would mean that the recipe "
        "silently does nothing.",
        example='open "photos/*.pgn" | invert ddim',
        mend='open "photos/*.png" | invert ddim',
    ),
    "RT402": Code(
        "no-file",
        "there is no file '{path}'",
        "{mend}",
        why="Relative paths start at the recipe's folder; with -e they start at the current one.",
        example='open "cta.png" | invert ddim',
        mend='open "cat.png" | invert ddim',
    ),
    "RT403": Code(
        "outside",
        "'{path}' lies outside the recipe's folders",
        "allow it with --allow DIR",
        why="A recipe may come from anyone, so it reads and writes only below its own folder and what the "
        "command line names. Links are followed before this is checked.",
        example='open "../../etc/x.png" | invert ddim',
        mend='open "x.png" | invert ddim',
    ),
    "RT404": Code(
        "over-limit",
        "{what}: {count:,}; at most {limit:,}",
        "{mend}",
        why="Lists multiply, and a small recipe can ask for more work than anyone meant. Limits are checked "
        "before any work.",
        example='open "wide.png" | invert ddim | save "o.png"',
        mend='open "wide.png" size=64 | invert ddim | save "o.png"',
    ),
    "RT563": Code(
        "untrained-size",
        "what is edited is {longer} pixels on its longer side, and '{model}' was trained on {trained}",
        "{mend}",
        severity="warning",
        why="A model draws things at the size at which it has seen them. In a picture that is much larger than those "
        "it was trained on it puts several small ones where one large one is, though it takes such a picture.",
    ),
    "RT405": Code(
        "one-name",
        "{count} results would be written to one file, '{path}'",
        "{mend}",
        why="Each result needs a file of its own, or the last one would be all that is left. Every list and "
        "every folder of images has a field for the path.",
        example='open "photos/*.png" | invert ddim "cat"->"dog" | save "out/dog.png"',
        mend='open "photos/*.png" | invert ddim "cat"->"dog" | save "out/{name}.png"',
    ),
    "RT406": Code(
        "unknown-field",
        "'{{{name}}}' is not known here",
        "{mend}",
        why="In paths of save and sheet, {name} {index} {turn} {seed} and each axis by the name of its option "
        "or let are filled in. Write {{ and }} for the brackets themselves.",
        example='open "cat.png" | invert ddim "x"->"y" | save "{nmae}-2.png"',
        mend='open "cat.png" | invert ddim "x"->"y" | save "{name}-2.png"',
    ),
    "RT407": Code(
        "overwrites-source",
        "this would overwrite '{path}', which the recipe reads",
        "save it elsewhere",
        why="No file is overwritten that retouch did not make, and least of all what it works from.",
        example='open "c.png" | invert ddim "x"->"y" | save "c.png"',
        mend='open "c.png" | invert ddim "x"->"y" | save "d.png"',
    ),
    "RT408": Code(
        "no-source",
        "no image is given",
        'name one on the command line, or begin with open "…"',
        why="A flow that begins without 'open', or with an 'open' that has no path, takes the images of the "
        "command line. There are none.",
        example='invert ddim "cat"->"dog"',
        mend='open "cat.png" | invert ddim "cat"->"dog"',
    ),
    "RT409": Code(
        "unused-source",
        "the recipe opens its own images, so '{path}' is not used",
        "write 'open' without a file in the recipe",
        why="Images of the command line go to flows that name no file of their own. Every flow of this recipe "
        "names one.",
    ),
    "RT410": Code(
        "unequal-rows",
        "{what}",
        "{mend}",
        why="let (a, b) = [(…, …), …] gives each name one value in each row, so every row is as long as the "
        "list of names.",
        example='let (a, b) = [("x", 1), ("y")]',
        mend='let (a, b) = [("x", 1), ("y", 2)]',
    ),
    "RT411": Code(
        "nothing-to-do",
        "this recipe makes nothing",
        "a flow without a name is a result: add a line such as {mend}",
        why="A flow with a name waits until it is used, and a flow without one is a result. Here nothing is "
        "ever asked for.",
        example='a = open "cat.png"',
        mend='a = open "cat.png"\na | invert ddim "cat"->"dog"',
    ),
    "RT413": Code(
        "address",
        "a recipe opens no web addresses",
        "{mend}",
        why="What lies behind an address may change or vanish, and a recipe should do the same thing tomorrow.",
        example='open "https://x.org/a.png" | invert ddim "cat"->"dog"',
        mend='open "x.png" | invert ddim "cat"->"dog"',
    ),
    "RT415": Code(
        "not-ours",
        "'{path}' is there already, and retouch did not make it",
        "save it elsewhere, or run with --force",
        why="A recipe is run again and again, so its own results may be replaced. A file from elsewhere may be the "
        "only one there is.",
        example='open "cat.png" | invert ddim | save "dog.png"',
        mend='open "cat.png" | invert ddim | save "dog-2.png"',
    ),
    "RT440": Code(
        "edited-result",
        "'{path}' has been changed since retouch made it, and is not overwritten",
        "move it away, save elsewhere, or run with --force",
        why="A result says what it was made of, and holds a digest of its pixels; the journal of its folder holds one "
        "of all its bytes. What somebody has changed by hand since may be the only copy of that work.",
        example='open "cat.png" | invert ddim | save "touched.png"',
        mend='open "cat.png" | invert ddim | save "touched-2.png"',
    ),
    "RT468": Code(
        "led-by-nothing",
        "'{stage}' leads next to nothing: the walk takes one step",
        "walk more of them: steps=10, or a greater 'strength'",
        why="A loss moves each step by as much as the step draws noise, and the last draws next to none. A walk of one "
        "step is its last.",
        severity="warning",
    ),
    "RT436": Code(
        "mask-behind-windows",
        "'{stage}' looks at a mask of the whole picture, and the network sees one window of it at a time",
        "leave its mask out, or edit a part of the picture: 'mask … | crop' and 'paste' in place of windows",
        why="Behind 'tiles multidiffusion' each pass of the network shows one window. Blends, guidance and inversions "
        "work on all windows together; a control works inside of a pass, where the mask has other places.",
    ),
    "RT451": Code(
        "no-signer",
        "'--sign' cannot sign: {what}",
        "{mend}",
        why="Content credentials are signed by a package of its own, which is installed only where it is asked for. "
        "Nothing is run that could not be signed at its end.",
    ),
    "RT452": Code(
        "unfit-identity",
        "'--sign' cannot sign as you: {what}",
        "{mend}",
        why="Results are signed with a certificate and a key of your own, as files of PEM or from the environment. One "
        "pixel is signed before anything runs. A key that others may read is refused, as ssh does.",
    ),
    "RT453": Code(
        "not-to-be-signed",
        "'{path}' cannot be signed",
        "run that result without --sign; pictures that end in {endings} are signed",
        why="With --sign every result of a run is signed, so that none is taken for one that is. Tables, weights and "
        "meshes have no place for content credentials.",
    ),
    "RT454": Code(
        "no-benchmarks",
        "{what} needs the distribution 'retouch-bench', which is not installed",
        "pip install 'retouch[bench]'",
        why="Retouch itself carries what an edit needs. Its benchmarks and the trainers of its models come as a "
        "distribution of their own, of the same version.",
    ),
    "RT459": Code(
        "output-of-none",
        "no result of this recipe goes to '{path}', which -o names",
        "write the picture, too: | save; or leave -o out, or name a folder by it",
        why="A file that -o names takes the place of a picture that 'save' writes. Tables, masks and all that names a "
        "file of its own goes there, and nothing else was asked for.",
    ),
    "RT418": Code(
        "unreadable-caption",
        "the caption '{path}' cannot be read: {what}",
        "{mend}, or give the words with --caption or caption=…",
        why="The text beside a picture says what it shows, and edits replace words of it. What cannot be read as text "
        "would change prompts without a word.",
    ),
    "RT419": Code(
        "linked-caption",
        "the caption '{path}' is a link out of its folder, so it is not read",
        "put the text itself there, or give the words with --caption or caption=…",
        why="Folders of pictures come from anyone, and a link in one may lead to any file of this machine, whose words "
        "would then stand in prompts and in the pictures that are made.",
        severity="warning",
    ),
    "RT417": Code(
        "unfit-mask",
        "'{path}' cannot be the mask: {what}",
        "{mend}",
        why="A mask says of each pixel how much of it is edited: white on black, or opaque on a transparent layer. A "
        "file of numbers has one for each area, and label=… says which is meant. It is as large as its picture.",
        example='open "cat.png" | invert ddim | mask file "labels.png" | blend latent | save "o.png"',
        mend='open "cat.png" | invert ddim | mask file "labels.png" label=3 | blend latent | save "o.png"',
    ),
    "RT422": Code(
        "foreign-caption",
        "'{what}' in the caption '{path}' is read as words",
        "{mend}",
        why="Captions of training sets and of other programs hold weights, switches and names of networks. Here a "
        "caption is words and nothing else, so the prompt is told those signs as if they were seen in the picture.",
        severity="warning",
    ),
    "RT425": Code(
        "unfit-ending",
        "'{stage}' {what}",
        "{mend}",
        why="The ending of a file says what is in it, to other programs and to retouch. Each stage that writes files "
        "declares the endings that it has.",
        example='open "cat.png" | invert ddim | save "new.gif"',
        mend='open "cat.png" | invert ddim | save "new.png"',
    ),
    "RT426": Code(
        "option-of-another-ending",
        "'{name}' means nothing for a {ending} file",
        "leave it out, or end the file in {wanted}",
        why="Some options are for some formats alone: only what loses something has a quality.",
        example='open "cat.png" | invert ddim | save "new.png" quality=80',
        mend='open "cat.png" | invert ddim | save "new.jpg" quality=80',
    ),
    "RT427": Code(
        "unwritable-place",
        "'{path}' cannot be written: {what}",
        "save it elsewhere",
        why="Where a result goes is looked at before any work is done: a folder in its place, a file where a folder "
        "would have to be, a folder that nothing may be written in.",
        example='open "cat.png" | invert ddim | save "m.png/new.png"',
        mend='open "cat.png" | invert ddim | save "m/new.png"',
    ),
    "RT428": Code(
        "no-picture",
        "this cannot be a picture: {what}",
        "{mend}",
        why="Arrays and tensors have no form of their own: what is in [0, 1] for one program goes to 255 in another. "
        "What could be read in two ways is not guessed.",
    ),
}
