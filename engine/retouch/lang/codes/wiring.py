"""3xx: types and wiring."""

from retouch.lang.codes.code import Code

WIRING = {
    "RT301": Code(
        "missing-port",
        "'{stage}' needs {port}, and nothing before it makes one",
        "{mend}",
        why="A stage takes its inputs by type from what flows into it. Here nothing of that type has been made yet.",
        example="invert ddim | blend latent",
        mend='invert ddim | mask diffedit "cat"->"dog" | blend latent',
    ),
    "RT302": Code(
        "lost-value",
        "this {type} is replaced before anything reads it",
        "delete one, combine them ({mend}), or give one a name",
        why="A flow holds one value of each type, and the newest is the one that is read. Work that nothing "
        "reads is a mistake: usually both values were meant.",
        example='invert ddim | mask diffedit "cat"->"dog" | mask attention | blend latent',
        mend='invert ddim | mask diffedit "cat"->"dog" | blend latent',
    ),
    "RT303": Code(
        "wrong-model-space",
        "this {type} belongs to model '{made}', and '{stage}' works in '{wanted}'",
        "sample and decode first, or use one model",
        why="Latents and text embeddings mean something only to the model that made them. Pixels are what "
        "models have in common.",
        example='invert ddim | model "other" | sample',
        mend='invert ddim | model "storybook" | sample',
    ),
    "RT304": Code(
        "flow-lacks-type",
        "the flow '{name}' holds no {type}",
        "it holds {holds}",
        why="option=name takes the newest value of the option's type from another flow. That flow never makes one.",
        example='a = open "c.png"\na | invert ddim "x"->"y" | blend latent mask=a',
        mend='a = open "c.png"\nm = mask file "m.png"\na | invert ddim "x"->"y" | blend latent mask=m',
    ),
    "RT305": Code(
        "two-edits",
        "this turn has two edits",
        "end the turn with '| sample', or give this stage alone its own with edit=…",
        why="A turn changes the picture once, and its edit holds for all of its stages. Two different ones "
        "leave open which is meant.",
        example='invert ddim "cat"->"dog" | attend p2p "meadow"->"beach"',
        mend='invert ddim | attend p2p "cat"->"dog" "meadow"->"beach"',
    ),
    "RT306": Code(
        "not-in-caption",
        "'{word}' does not occur in the caption \"{caption}\"",
        "{mend}",
        why="With a caption, an edit replaces words of it, and each left side must occur there as whole words. "
        "A typing error would otherwise silently change what the sides mean. Behind a turn the caption says what it "
        "made; in a window that is cropped behind another's 'paste', words from before that one was edited count, too.",
        example='open "cat.png" caption="a cat" | invert ddim "dgo"->"fox"',
        mend='open "cat.png" caption="a cat" | invert ddim "cat"->"fox"',
    ),
    "RT307": Code(
        "no-edit",
        "'{stage}' needs an edit, and this turn has none",
        'write what changes: "cat"->"dog"',
        why="This stage compares what is there with what is wanted, so some stage of the turn must say both.",
        example="invert ddim | attend p2p",
        mend='invert ddim | attend p2p "cat"->"dog"',
    ),
    "RT308": Code(
        "no-caption",
        "{what} needs a caption to change",
        'open … caption="a cat in a meadow"',
        why="Adding, removing and weighing words change a prompt that exists. Without a caption only "
        '"before"->"after" says enough.',
        example='open "cat.png" | invert ddim +"a hat" | save "o.png"',
        mend='open "cat.png" caption="a cat" | invert ddim +"a hat" | save "o.png"',
    ),
    "RT309": Code(
        "alternatives-differ",
        "the alternatives of 'first' make different things: {what}",
        "let each end with the same kind of value",
        why="What follows 'first' must work whichever alternative was taken, so all of them make the same types.",
        example='def a() = invert ddim\ndef b() = mask file "m.png"\nfirst(a(), b()) | sample',
        mend="def a() = invert ddim\ndef b() = invert null_text\nfirst(a(), b()) | sample",
    ),
    "RT310": Code(
        "two-writers",
        "'{a}' and '{b}' both write the same attention maps",
        "choose one, or give them different steps",
        why="Each of both would overwrite what the other has written, and the result would depend on their "
        "order in a way that no paper describes.",
        example='invert ddim | attend p2p "cat"->"dog" | attend masactrl',
        mend='invert ddim | attend p2p "cat"->"dog" | attend masactrl start=40%',
    ),
    "RT311": Code(
        "overlapping-changes",
        "'{a}' and '{b}' change the same words of the caption",
        "make one change of both",
        why="All changes are made at once, so words of the caption can be part of one change only.",
        example='open "cat.png" caption="a white cat" | invert ddim "white cat"->"dog" "cat"->"fox"',
        mend='open "cat.png" caption="a white cat" | invert ddim "white cat"->"dog"',
    ),
    "RT312": Code(
        "no-step",
        "'{stage}' takes no step, so nothing would be edited",
        "{mend}",
        why="The strength is the part of the schedule that is walked, in whole steps. Less than one step is no walk, "
        "and the result would be the picture as it was.",
        example='invert ddim "cat"->"dog" steps=10 strength=5%',
        mend='invert ddim "cat"->"dog" steps=10 strength=10%',
    ),
    "RT313": Code(
        "changes-nothing",
        "this edit changes no word of the prompt",
        "write what it is to become, or delete the change",
        why='Both prompts would be the same, so nothing would be edited. To give words weight, write "cat"*1.5.',
        example='invert ddim "cat"->"cat"',
        mend='invert ddim "cat"->"dog"',
    ),
    "RT314": Code(
        "foreign-prompt",
        "'{what}' would be read as words",
        "{mend}",
        why="Other programs write weights, switches and networks inside the prompt. Here a text is words and nothing "
        "else, and the network would be told those signs as if they were seen in the picture.",
        example='open "cat.png" caption="a cat" | invert ddim "cat"->"(dog:1.3)" | attend p2p | save "o.png"',
        mend='open "cat.png" caption="a cat" | invert ddim "cat"->"dog"*1.3 | attend p2p | save "o.png"',
    ),
    "RT315": Code(
        "acts-nowhere",
        "'{stage}' acts at none of the {steps} that are taken",
        "{mend}",
        why="Windows are fractions of the steps that are taken, and step n of N begins at (n - 1) / N. A window "
        "between two steps, or one that ends where it begins, holds none: the result is as without it.",
        example='invert ddim steps=5 | attend masactrl "cat"->"dog" start=90%',
        mend='invert ddim steps=5 | attend masactrl "cat"->"dog" start=80%',
        severity="warning",
    ),
    "RT325": Code(
        "no-site",
        "'{stage}' would act nowhere in '{model}'",
        "{mend}",
        why="A control acts at sites of a network: attention at certain scales, residual blocks. Networks differ, and "
        "where a model has none of the sites that a stage is for, the result would be as without it.",
        example='invert ddim "cat"->"dog" | guide semantic scale=64',
        mend='invert ddim "cat"->"dog" | guide semantic scale=2',
    ),
    "RT326": Code(
        "no-words",
        "'{stage}' works by words, and '{model}' reads none",
        "{mend}",
        why="Some models draw without being told what: they have no text encoder. A method that compares prompts, or "
        "asks where a word is seen, has nothing there to compare.",
        example='model "storybook_pixels"\ninvert null_text | guide cfg',
        mend='model "storybook_pixels"\ninvert ddim | guide cfg',
    ),
    "RT327": Code(
        "unread-words",
        "'{model}' reads no words, and no stage of this turn does",
        "{mend}",
        why="A model without a text encoder draws what it was trained on, whatever is written. Words reach it only "
        "through a stage that reads them itself; masks, strength and seed say the rest.",
        example='model "storybook_pixels"\ninvert ddim "cat"->"dog" strength=50%',
        mend='model "storybook_pixels"\ninvert ddim strength=50%',
    ),
    "RT328": Code(
        "nothing-to-guide-by",
        "{name}={value} guides by words, and '{model}' reads none",
        "{mend}",
        why="This number says how far to go from one prompt's prediction to another's. Where the model reads no "
        "prompt, both are the same, and the second would be paid for and change nothing.",
        example='model "storybook_pixels"\ninvert ddim | guide cfg guidance=5',
        mend='model "storybook_pixels"\ninvert ddim | guide cfg guidance=1',
    ),
    "RT329": Code(
        "no-class",
        "'{text}' is no class of '{model}'",
        "{mend}",
        why="A model of this kind reads no words. It was told, for each picture that it was trained on, the number of "
        "its class, and a prompt is such a number; an empty one stands for any class, another at each step.",
        example='model "guided.safetensors"\ninvert ddim "cat"->"207"',
        mend='model "guided.safetensors"\ninvert ddim "0"->"207"',
    ),
    "RT316": Code(
        "not-in-prompt",
        "'{stage}' names '{word}', which does not occur in {where}",
        "{mend}",
        why="Some options name words of a prompt: whose place is looked for, or which are treated apart. They have to "
        "stand there as whole words; a stage cannot look for a word that nobody said.",
        example='open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | mask attention words=["meadow"] '
        '| blend latent | save "o.png"',
        mend='open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | mask attention words=["cat"] '
        '| blend latent | save "o.png"',
    ),
    "RT318": Code(
        "prompt-is-caption",
        "the target prompt is the caption, so nothing is edited",
        "write what is to be different",
        why="What a picture is to show is told from what it shows by these two texts, and here they are the same.",
        example='open "cat.png" caption="a cat" | invert ddim "a cat" | save "o.png"',
        mend='open "cat.png" caption="a cat" | invert ddim "a dog" | save "o.png"',
        severity="warning",
    ),
    "RT317": Code(
        "steps-beyond",
        "{steps} steps do not fit '{model}'",
        "write steps={most}",
        why="A model was trained at so many noise levels, and each step visits one of its own.",
        example='invert ddim "cat"->"dog" steps=1000',
        mend='invert ddim "cat"->"dog" steps=999',
    ),
    "RT319": Code(
        "turn-ended",
        "'{stage}' needs {port}, and '{by}' has ended the turn that had one",
        "move it before '{by}'{otherwise}",
        why="A turn ends where its picture is made, by 'sample' or by a stage that needs the edited picture. Masks, "
        "edits, trajectories and controls are of one turn: what follows starts from the new picture.",
        example='invert ddim "cat"->"dog" | mask box right=50% | sample | mask dilate',
        mend='invert ddim "cat"->"dog" | mask box right=50% | mask dilate | blend latent | sample',
    ),
    "RT323": Code(
        "steps-twice",
        "'{stage}' has {own} steps, and the turn says {said}",
        "{mend}",
        why="A schedule that lists its levels has as many steps as levels. A number beside it that says another would "
        "mean nothing.",
        example='schedule levels at=[999, 600, 200] | invert ddim "cat"->"dog" steps=20',
        mend='schedule levels at=[999, 600, 200] | invert ddim "cat"->"dog" steps=3',
    ),
    "RT322": Code(
        "unfit-solver",
        "'{solver}' cannot walk what '{walk}' recorded",
        "{mend}",
        why="Some inversions record, for each step, what their own rule misses, or undo that rule exactly. Another "
        "rule misses other things, and would lead neither to the source nor to the edit.",
        example='invert edict "cat"->"dog" | solver heun',
        mend='invert ddim "cat"->"dog" | solver heun',
    ),
    "RT335": Code(
        "other-sizes",
        "'{stage}' is given '{a}' of {size}, and '{b}' of {other}",
        "{mend}",
        why="What meets in a stage lies on the same pixels: a picture and its mask, an edit and its source, a window "
        "and what is put back into it. Of another picture, or of the whole where a window is meant, they do not.",
    ),
    "RT336": Code(
        "nothing-edited",
        "'{stage}' is given a picture and its source, which are the same: its turn has edited nothing",
        "put it behind an edit, or delete it",
        severity="warning",
        why="It takes one part from what was edited, and another from what that began with. Where nothing was edited, "
        "it gives the picture back as it was.",
    ),
    "RT564": Code(
        "idle-stage",
        "'{stage}' {what}",
        "{mend}",
        severity="warning",
        why="A weight, a rate or a share of 0 leaves all as it was, a guidance of 0 follows the negative prompt, and "
        "what holds every step to the source lets no edit through. "
        "That is a right setting in a series; alone it is work for nothing.",
    ),
    "RT565": Code(
        "promise-lost",
        "'{stage}' changes pixels outside of the mask, which '{blend}' has put back",
        "name the mask, as in 'area = mask …', and write '{blend} mask=area' behind it",
        severity="warning",
        why="Behind a blend of pixels every byte outside of the mask is the source's. What works on the whole picture "
        "after that moves some of them again, near the mask's edge or everywhere.",
    ),
    "RT131": Code(
        "lossy-file",
        "{format} changes every pixel a little, those outside of the mask too, which '{blend}' has put back",
        "{mend}, where they are to stay to the bit",
        severity="warning",
        why="Behind a blend of pixels every byte outside of the mask is the source's. JPEG, and WebP with a quality, "
        "store an approximation of the whole picture.",
    ),
    "RT320": Code(
        "wrong-prediction",
        "'{stage}' works on models that predict {wanted}, and '{model}' predicts {has}",
        "{mend}",
        why="Some methods are steps along the straight lines between noise and picture on which flow models are "
        "trained. Models that predict noise have no such lines, and the step would lead nowhere.",
        example='invert rf_solver "cat"->"dog"',
        mend='invert fixed_point "cat"->"dog"',
    ),
    "RT321": Code(
        "not-told",
        "'{stage}' tells the model its '{name}', and '{model}' reads no such number",
        "{mend}",
        why="Some networks were distilled to read their guidance as a number, beside the time. Any other "
        "network would not hear it, and the result would be as if nothing had been said.",
        example='invert ddim "cat"->"dog" | guide distilled',
        mend='invert ddim "cat"->"dog" | guide cfg',
    ),
    "RT246": Code(
        "weight-unheard",
        '"{words}"*{weight} weighs nothing here: no control of this flow gives words weight',
        "{mend}",
        severity="warning",
        why="A weight multiplies how strongly pixels attend to words, and a control of attention does that, which "
        "takes the edit. To the model itself a prompt says which words, and not how strongly.",
        example='open "cat.png" caption="a cat" | invert ddim "cat"*2 | save "o.png"',
        mend='open "cat.png" caption="a cat" | invert ddim "cat"*2 | attend p2p | save "o.png"',
    ),
    "RT561": Code(
        "equal-draws",
        "'{stage}' makes equal draws: nothing in its flow draws noise",
        "draw noise in it: invert sdedit, invert cycle_diffusion or solver ddpm",
        severity="warning",
        why="Draws differ by their noise alone. An inversion such as DDIM's is a function of the picture, and so each "
        "draw of it is the same picture, at its whole cost.",
    ),
    "RT566": Code(
        "edit-outside",
        "the flow of '{stage}' walks without an edit, which is written outside of its brackets",
        "write the edit in the brackets, too",
        severity="warning",
        why="A flow in brackets begins with the caption of its picture, and hears nothing of the turn round it but the "
        "mask and the picture. Without an edit of its own it brings the picture back, at its whole cost.",
    ),
}
