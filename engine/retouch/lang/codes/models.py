"""4xx: models, files beside them, and what tunings learn."""

from retouch.lang.codes.code import Code

MODELS = {
    "RT412": Code(
        "unknown-model",
        "{what}",
        "{mend}",
        why="A model is an alias, a folder or file on this machine, or an id of the hub, with its commit if that "
        "matters. Addresses are none: 'retouch models get' brings what lies there, once.",
        example='model "stroybook"',
        mend='model "storybook"',
    ),
    "RT416": Code(
        "broken-model",
        "the model '{name}' cannot be used: {what}",
        "see 'retouch models'",
        why="A model is a folder in the layout of diffusers, with safetensors weights that fit their configs to the "
        "last key. 'retouch models FOLDER' says what is wrong with one.",
        example='model "torn"\ninvert ddim',
        mend='model "storybook"\ninvert ddim',
    ),
    "RT430": Code(
        "not-fetched",
        "{what}",
        "{mend}",
        why="Checks and runs never touch the network. A model of the hub is fetched once, by a command of its own that "
        "tells its size and licence first.",
    ),
    "RT431": Code(
        "not-got",
        "the model '{name}' was not fetched: {what}",
        "{mend}",
        why="A model comes from the hub in safetensors, in the layout of diffusers or, where a stage sees with it, of "
        "transformers, and is checked against the hub's digests. What has come stays, and the same command goes on "
        "from there.",
    ),
    "RT432": Code(
        "left-over",
        "{count} tensors of '{name}' have no place in the model, such as {first}",
        "the rest is applied; see 'retouch models {name}'",
        severity="warning",
        why="A LoRA may have been trained on more than this model has, such as a second text encoder. What fits is "
        "applied, and what does not is left out.",
    ),
    "RT433": Code(
        "unfit-beside",
        "{option} '{name}' cannot be used: {what}",
        "{mend}",
        why="A model may take parts from elsewhere: its configs and vocabularies from a base, another VAE, LoRA files "
        "beside its layers. Each is a file or a folder on this machine, of the same kind as the model.",
    ),
    "RT434": Code(
        "unfit-lora",
        "'{path}' cannot run beside '{model}': {what}",
        "use one that was trained on this model, or another model",
        why="A LoRA adds to layers of one network, by their names and shapes. Both stand in the file's header, so a "
        "file that does not fit is refused before anything loads.",
    ),
    "RT463": Code(
        "foreign-lora",
        "'{path}' fits, and says that it was trained for {whose}; the model is a {model}",
        "use a model of that kind, or another file; what a file says of itself may be wrong",
        severity="warning",
        why="Layers of different models may have the same names and shapes, and then weights are added to layers that "
        "mean something else. Trainers write their base into the file; where they did not, nothing can be known.",
    ),
    "RT435": Code(
        "no-weights",
        "'{stage}' needs its weights '{name}', and {what}",
        "{mend}",
        why="A plugin may bring a network of its own. Its weights come with it, with another package or from the hub "
        "at one commit; a run fetches nothing, so they are looked for before anything loads.",
    ),
    "RT450": Code(
        "unfit-pretrained",
        "'{stage}' cannot use '{name}': {what}",
        "{mend}",
        why="Some stages look at pictures with a network of their own, such as an image-text model. It is one that a "
        "plugin ships, a folder in the layout of transformers, or a model of the hub that was fetched; its config says "
        "what it is, so one of another kind is refused before anything loads.",
    ),
    "RT455": Code(
        "unfit-tuned",
        "'{path}' cannot stand in for weights of '{model}': {what}",
        "name a file that 'save weights' wrote of this model, or tune it here",
        why="What 'save weights' writes holds tensors for one network, by their names and shapes, and the digest of "
        "the weights that they were tuned from. On any other they would mean nothing, so they are refused before "
        "anything loads.",
    ),
    "RT456": Code(
        "nothing-tuned",
        "there are no tuned weights to save: {what}",
        "{mend}",
        why="'save weights' writes what a tuning made of the denoiser, for later runs to begin with. The model's own "
        "weights and LoRA files are files already.",
    ),
    "RT457": Code(
        "untuned-again",
        "'{stage}' leaves nothing of what '{other}' tuned before",
        'write mix="changes" on it, so that both count, or delete one of them',
        why="Saved weights stand in for those of the model. Where several are to act, each after the first says how "
        "much it counts beside those before it, and from where to where in the walk.",
    ),
    "RT458": Code(
        "no-words-learnt",
        "'{stage}' has nothing to say: {what}",
        "write tune imagic or tune unitune before it",
        why="Some tunings learn how a prompt is to name their picture: an embedding, or a word that no language has. "
        "Only what they learnt can be said.",
    ),
    "RT465": Code(
        "unfit-embedding",
        "'{path}' cannot teach '{model}' a word: {what}",
        "name a safetensors file of a word for this family of models, or learn it here",
        why="A file of textual inversion holds the vectors that stand for a word, for each text encoder of one family. "
        "Both names and shapes stand in its header, so a file that does not fit is refused before anything loads.",
    ),
    "RT466": Code(
        "learns-no-words",
        "'{stage}' has no way to teach '{model}' a word",
        "use 'tune lora' or 'tune dreambooth', which learn the subject under words that it knows",
        why="A learnt word stands in the table of a text encoder. For Stable Diffusion 1, 2 and XL there is a form in "
        "which programs exchange such words; for families whose encoders are language models there is none.",
    ),
    "RT467": Code(
        "no-word-taught",
        "'{stage}' has no word to write: nothing before it teaches the text encoder one",
        "write tune textual_inversion before it",
        why="A file of textual inversion holds the vectors of one word that was learnt. The words of the model's own "
        "vocabulary are in its files already.",
    ),
    "RT464": Code(
        "not-of-low-rank",
        "'save lora' writes what is of low rank, and '{other}' moves whole weights",
        "write 'save weights', or tune by 'tune lora'",
        why="A LoRA file holds two narrow matrices for each layer. Weights that were tuned as they are do not fit into "
        "it; 'save weights' writes them whole.",
    ),
}
