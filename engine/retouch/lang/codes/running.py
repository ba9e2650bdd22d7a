"""5xx: running."""

from retouch.lang.codes.code import Code

RUNNING = {
    "RT501": Code(
        "plugin-failed",
        "'{stage}' failed: {what}",
        "report it to {plugin}",
        why="The code of a stage raised an exception. The other images go on, and what was finished before is kept.",
    ),
    "RT502": Code(
        "requirement",
        "'{metric}' is {value}, and {wanted} was required",
        "let first(…) try another way",
        why="A 'require' stage measured less than the recipe asks for, so what would follow was not worth its time.",
    ),
    "RT503": Code(
        "out-of-memory",
        "{what} does not fit in memory",
        "open the picture smaller (open size=…), or run in half precision: --dtype bfloat16",
        why="Even one row of this pass is larger than the memory that the device has free.",
    ),
    "RT504": Code(
        "unreadable-image",
        "'{path}' is not an image that can be read: {what}",
        "{mend}",
        why="The file exists, but it is damaged or of a kind that is not read. Kinds that people come with, such as "
        "GIF, AVIF and HEIC, are known by how they begin, and the help says how a PNG is made of one.",
        example='open "torn.png" | invert ddim | save "o.png"',
        mend='open "cat.png" | invert ddim | save "o.png"',
    ),
    "RT583": Code(
        "source-changed",
        "'{path}' was changed while the run read it",
        "run the same again when nothing writes to it",
        why="A large picture is read from its file in parts, and once more when its result is written. What is another "
        "file by then would give a picture that is part one and part the other.",
    ),
    "RT505": Code(
        "not-finite",
        "'{stage}' made values that are not finite",
        "{mend}",
        why="Infinities and NaN spread through every later step and end as a black picture. Half precision is "
        "the usual cause. Of stages that call one another, the one is named whose work made them of finite numbers.",
    ),
    "RT515": Code(
        "wrong-result",
        "'{stage}' has to give {wanted}, and gave {got}",
        "report it to {plugin}",
        why="What a stage makes is looked at where it is made, so that the stage is named that is at fault and not the "
        "next one, and nothing that others share is touched.",
    ),
    "RT516": Code(
        "left-changed",
        "'{stage}' of '{plugin}' changed {what}, which others rely on; it was put back",
        "report it to {plugin}",
        why="A stage works on what it is given and leaves the process as it was. What can be put back is put back as "
        "soon as the stage gives way, so that the others run as if it were not there.",
        severity="warning",
    ),
    "RT132": Code(
        "unstated-size",
        "'{stage}' {made} and states no size, and behind it {what}",
        "leave it out, or write masks behind it; report it to {plugin}: a stage that makes another size states facts "
        "of the names height and width",
        why="The check holds pictures, masks and windows that meet to one size. What makes another states it in its "
        'mark, as the facts height="2 * height" and width="2 * width", and then what does not fit is told before '
        "anything runs.",
    ),
    "RT517": Code(
        "wrote-in-place",
        "'{stage}' wrote into what it was given as '{port}'",
        "let it write to a copy: x = x.clone(); report it to {plugin}",
        why="Other stages and pictures may be given the same tensors. A stage of a plugin works on copies, so that "
        "none of them is touched, and its own picture fails.",
    ),
    "RT518": Code(
        "broken-touch",
        "a control of '{plugin}' {what}",
        "report it to {plugin}",
        why="A control says in its touches where and how it acts, and recipes are checked against that. What it does "
        "beside them would undo other controls in silence.",
    ),
    "RT576": Code(
        "family-failed",
        "the family '{family}' of '{plugin}' is at fault: {what}",
        "report it to {plugin}",
        why="A family of models is a plugin that loads a model and asks its network. What it raises or gives is looked "
        "at where it does so, and no stage is blamed for it.",
    ),
    "RT577": Code(
        "family-not-finite",
        "the family '{family}' of '{plugin}' made values that are not finite of such as were",
        "report it to {plugin}; or {mend}",
        why="A network or a codec was asked with finite numbers and gave others, which spread through every later "
        "step. Half precision is a usual cause; another is how the family asks the network.",
    ),
    "RT578": Code(
        "family-left-changed",
        "the family '{family}' of '{plugin}' changed {what}, which others rely on; it was put back",
        "report it to {plugin}",
        why="A family loads and asks a network, and leaves the process as it was. What can be put back is put back at "
        "once, so that the others run as if it were not there.",
        severity="warning",
    ),
    "RT511": Code(
        "same-to-the-model",
        "'{stage}' would edit nothing: to the model both prompts are the same{why}",
        "{mend}",
        why="A model reads a prompt as tokens, at most so many, and not every difference of texts is one of tokens. "
        "This is found out before the network is asked, so that nothing is paid for.",
    ),
    "RT512": Code(
        "prompt-cut",
        "the model stops reading the prompt at '{word}', after {tokens} tokens; not read: '{rest}'",
        "shorten it, or put what matters first",
        why="A text encoder takes so many tokens and no more. What lies beyond is not seen, and of a word that is "
        "cut only the first pieces are.",
        severity="warning",
    ),
    "RT513": Code(
        "empty-mask",
        "the mask of '{stage}' covers 0% of the picture, so nothing is edited",
        "{mend}",
        why="What lies outside a mask stays as it is, and here everything does. The picture is written all the same, "
        "so that a folder comes out whole.",
        severity="warning",
    ),
    "RT514": Code(
        "full-mask",
        "the mask of '{stage}' covers 100% of the picture, so nothing is kept",
        "{mend}",
        why="A mask that covers everything keeps nothing as it was: the result is as without a mask.",
        severity="warning",
    ),
    "RT923": Code(
        "worker-ended",
        "'{name}' ended two workers: the last {how}",
        "run this picture alone to see where; RETOUCH_PATIENCE is the number of seconds that a stage may go on for",
        why="A worker that ends leaves its pictures to another, each alone. What then ends that one too would end "
        "every worker, so it is left out, and the other pictures go on.",
    ),
    "RT924": Code(
        "workers-end",
        "'{name}' was not begun, since workers end one after the other: the last {how}",
        "run one picture without --workers; or fewer workers, if memory is short",
        why="Several workers ended in a row without any picture done, so the cause is no single picture.",
    ),
    "RT925": Code(
        "no-ray",
        "'--ray' needs the package 'ray', which {what}",
        "{mend}",
        why="Retouch does not schedule machines itself. Ray does, and is installed only where it is asked for.",
    ),
    "RT926": Code(
        "not-for-workers",
        "the recipe comes to what workers cannot be given: {what}",
        "run it without --workers and --ray, and report it to the author of the model's family",
        why="Workers are given data alone: texts, numbers, and the engine's own descriptions of models and stages.",
    ),
    "RT507": Code(
        "not-written",
        "'{path}' could not be written: {what}",
        "{mend}",
        why="The result was made, but the system refused the file. Nothing that stood there before was touched.",
    ),
    "RT508": Code(
        "damaged-stamp",
        "what '{path}' says of itself is damaged: {what}",
        "make the picture anew with 'retouch run'",
        why="A picture that retouch made says how, in a form that programs can read. Anyone can write there, so what "
        "has another form is not believed.",
    ),
    "RT509": Code(
        "not-again",
        "'{path}' cannot be made again: {what}",
        "{mend}",
        why="Making a picture again takes what it was made from, bit for bit, and the plugins and the model that made "
        "it. What is not here, or not the same, is named before anything runs; nothing is written but one new file.",
    ),
    "RT510": Code(
        "no-window",
        "'{stage}' has nothing to be cut round: the mask is empty",
        "look at it with 'save mask', and let it take more",
        why="A window is cut round what the mask edits, and this mask edits no pixel of this picture.",
    ),
    "RT460": Code(
        "not-signed",
        "'{path}' could not be signed: {what}",
        "{mend}",
        why="A pixel was signed before the run began; since then the certificate has run out, its file is gone, or "
        "what signs fails at this picture. With --sign nothing is written that is not signed.",
    ),
    "RT469": Code(
        "diverged",
        "'{stage}' has lost its way: at step {step} of training its loss is no number",
        "lower its learning rate: lr=1e-5",
        why="Each step moves weights against the gradient, by the learning rate. Where that is too high they grow "
        "without end. What had been learnt is dropped, and no picture is made of it.",
    ),
    "RT582": Code(
        "whole-of-a-large-picture",
        "'{stage}' works on {what} at once, {count} megapixels; at most {most}",
        "{mend}",
        why="A picture of up to 400 megapixels is opened, cropped, pasted into and saved in parts. What works on all "
        "of one needs some fifty bytes for each pixel, so that it is refused before anything loads. How large a window "
        "is nobody knows before its mask is made; one of nearly all of such a picture is refused when it is cut.",
    ),
    "RT580": Code(
        "no-walk",
        "'{stage}' acts in a walk, and '{maker}' makes the picture without one",
        "{mend}",
        why="Distillation moves the latents themselves, a small step for each question: no noise is walked through, so "
        "there are no steps in which a control, a blend, a solver or a loss could act.",
        example='mask box right=50% | distil dds "cat"->"dog" | blend latent',
        mend='mask box right=50% | distil dds "cat"->"dog"',
    ),
    "RT560": Code(
        "one-size",
        "'{stage}' takes pictures of {side} by {side} pixels, and this has {width} by {height}",
        "{mend}",
        why="Some networks make pictures of one size alone, such as a GAN. Where a picture's size is known before the "
        "run, it is refused there; a window's is known when it is cut.",
    ),
}
