"""Plugins that reach past their own work: for memory, for the process, and through functions that others call."""

# ruff: noqa: E501 - a table of programs, one a line

from __future__ import annotations

from tests.faulty.faults import ATTEND, BLEND, FINE, Fault, attend, guide, invert, mask, saving, walking

FREES = "untyped_storage().resize_(0)"
SAID = "gives back the memory of a tensor"
TUNE = 'open "cat.png" | tune {name} | invert ddim "cat"->"dog" steps=2 | save "{name}.png"'
LEVEL = "list(schedule)[0].noisy"


def changing(name: str, body: str, said: str, *, is_async: bool = True) -> Fault:
    """A mask that leaves the process changed: its own result is there, and what it changed is told."""
    return mask(name, f"{body}\nreturn {FINE}", f"of 'f_{name}' changed {said}", is_async=is_async, fails=False)


def tune(name: str, made: str, said: str) -> Fault:
    """A stage whose model is this; `base` is the network's first weight, `n` its name."""
    head = f'@stage("tune", "{name}")\ndef {name}(model: Denoiser) -> Denoiser:\n    """X."""\n'
    lines = "    from retouch.api import ModelDelta\n    n, base = next(iter(model.core.base.items()))\n"
    return Fault(name, f"{head}{lines}    return {made}", TUNE.format(name=name), said)


MEMORY = [
    mask("frees", f"image.data.{FREES}\nreturn {FINE}", f"'mask frees' failed: it {SAID}"),
    mask("frees_own", f"m = {FINE}\nm.data.{FREES}\nreturn m", f"'mask frees_own' failed: it {SAID}"),
    mask(
        "frees_in_call",
        f"def f(x):\n    image.data.{FREES}\n    return x\nawait call(f, image.data)",
        f"'mask frees_in_call' failed: it {SAID}",
    ),
    invert(
        "frees_x",
        f"x = latents.data.clone()\nwaiting = model(x, {LEVEL}, prompt)\nx.{FREES}\nawait waiting",
        f"'invert frees_x' failed: it {SAID}",
    ),
    invert(
        "frees_prompt",
        f"prompt.embeds.{FREES}\nawait model(latents.data, {LEVEL}, prompt)",
        f"'invert frees_prompt' failed: it {SAID}",
    ),
    invert(
        "frees_weights", f"[w.{FREES} for w in model.core.base.values()]", f"'invert frees_weights' failed: it {SAID}"
    ),
    guide(
        "frees_late",
        f"async def g(model, x, level, p, n):\n    r = await model(x, level, p)\n    r.pair.{FREES}\n    return r\nreturn g",
        f"'guide frees_late' failed: it {SAID}",
    ),
    walking(
        "frees_begin", f"y = x[None].clone(); y.{FREES}; return y", "return state", "'solver frees_begin' failed: it"
    ),
    attend("frees_q", 'Touch("self", "transform", "q")', f"attn.q.{FREES}", f"'attend frees_q' failed: it {SAID}"),
    saving("frees_saved", f"image.data.{FREES}", f"'save frees_saved' failed: it {SAID}"),
    mask(
        "swaps",
        f"made = {FINE}\nimage.data.data = torch.empty(0)\nreturn made",
        "'mask swaps' wrote into what it was given as 'image'",
    ),
    mask(
        "reshapes_given", f"image.data.resize_(3, 9, 9)\nreturn {FINE}", "'mask reshapes_given' wrote into what it was"
    ),
    mask("sparse", "return Mask(torch.eye(64).to_sparse())", "and gave one that is laid out as sparse_coo"),
    mask(
        "recurses_deep",
        "sys.setrecursionlimit(10**6)\nclass R:\n    def __getattr__(self, n): return getattr(self, n + 'x')\nR().a",
        "'mask recurses_deep' failed: maximum recursion depth",
    ),
    mask("ends_all", "os._exit(3)", "'mask ends_all' failed: it raised SystemExit"),
    mask("aborts", "os.abort()", "'mask aborts' failed: it raised SystemExit"),
]

WEIGHTS = [
    invert(
        "empties",
        "for w in model.core.base.values(): w.data = torch.zeros(1)",
        "wrote into what it was given as 'model'",
    ),
    invert("halves", "model.core.module.half()", "'invert halves' wrote into what it was given as 'model'"),
    invert("trains", "model.core.module.train()", "'invert trains' wrote into what it was given as 'model'"),
    invert(
        "hooks_model",
        "model.core.module.register_forward_hook(lambda m, i, o: o * 0)",
        "'invert hooks_model' wrote into what it was given as 'model'",
    ),
    invert(
        "past_torch",
        "for w in model.core.base.values(): w.detach().numpy()[...] = float('nan')",
        "'invert past_torch' wrote into what it was given as 'model'",
    ),
    invert(
        "undoes",
        "model.core.net = model.core.forward = None",
        "'invert undoes' wrote into what it was given as 'model'",
    ),
    invert("takes_core", "object.__setattr__(model, 'core', None)", "'invert takes_core' has to give a Trajectory"),
    invert(
        "clears", "model.core.base.clear()", "'invert clears' failed: 'mappingproxy' object has no attribute 'clear'"
    ),
    Fault(
        "ruins_codec",
        '@stage("mask", "ruins_codec")\ndef ruins_codec(image: Image, codec: Codec) -> Mask:\n    """X."""\n'
        f"    with torch.no_grad(): [w.zero_() for w in codec.vae.parameters()]\n    return {FINE}",
        'open "cat.png" | mask ruins_codec | save mask "ruins_codec.png"',
        "'mask ruins_codec' wrote into what it was given as 'codec'",
    ),
    Fault(
        "ruins_texts",
        '@stage("mask", "ruins_texts")\ndef ruins_texts(image: Image, texts: TextEncoder) -> Mask:\n    """X."""\n'
        f"    with torch.no_grad(): [w.zero_() for each in texts.encoders for w in each.model.parameters()]\n    return {FINE}",
        'open "cat.png" | mask ruins_texts | save mask "ruins_texts.png"',
        "'mask ruins_texts' wrote into what it was given as 'texts'",
    ),
]

PROCESS = [
    changing(
        "sees_all",
        "from torch.overrides import TorchFunctionMode\nclass Z(TorchFunctionMode):\n"
        "    def __torch_function__(self, f, t, a=(), k=None): return f(*a, **(k or {})) * 0\nmade = " + FINE + "\n"
        "Z().__enter__()\nreturn made",
        "the modes that see every call of torch",
    ),
    changing(
        "sees_below",
        "from torch.utils._python_dispatch import TorchDispatchMode\nclass Z(TorchDispatchMode):\n"
        "    def __torch_dispatch__(self, f, t, a=(), k=None): raise RuntimeError('left behind')\nmade = " + FINE + "\n"
        "Z().__enter__()\nreturn made",
        "the modes that see every call of torch",
    ),
    mask(
        "on_meta", f"torch.device('meta').__enter__()\nreturn {FINE}", "of 'f_on_meta' changed the modes that see every"
    ),
    mask(
        "by_default", f"torch.set_default_device('meta')\nreturn {FINE}", "of 'f_by_default' changed the default device"
    ),
    mask(
        "spans",
        "from torch.overrides import TorchFunctionMode\nwith TorchFunctionMode(): await call(torch.relu, image.data)",
        "'mask spans' failed: a mode of torch spans an await",
    ),
    changing("casts", "torch.autocast('cpu').__enter__()", "whether torch casts by itself", is_async=False),
    changing("infers", "g = infers.g = torch.inference_mode()\ng.__enter__()", "whether torch is in", is_async=False),
    changing("finds", "torch.autograd.set_detect_anomaly(True)", "whether torch looks for anomalies"),
    changing("flushes", "torch.set_flush_denormal(True)", "whether the smallest numbers count"),
    changing(
        "no_kernels",
        "for each in ('flash', 'mem_efficient', 'math'): getattr(torch.backends.cuda, f'enable_{each}_sdp')(False)",
        "which kernels torch may choose",
    ),
    changing("errs", "import numpy\nnumpy.seterr(all='raise')", "what numpy makes of errors"),
    changing(
        "unsaves",
        "h = unsaves.h = torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x * 0)\nh.__enter__()",
        "what is kept for backward passes",
    ),
    changing("clones", f"made = {FINE}\ntorch.Tensor.clone = lambda s: s * 0\nreturn made", "a method of torch.Tensor"),
    changing(
        "counts", f"made = {FINE}\nimport builtins\nbuiltins.len = lambda x: 0\nreturn made", "a function of Python's"
    ),
    changing(
        "imports", f"made = {FINE}\nimport builtins\nbuiltins.__import__ = None\nreturn made", "a function of Python's"
    ),
    changing("dumps", "import json\njson.dumps = lambda *a, **k: 'null'", "a function of json"),
    changing("pictures", "from PIL import Image as I\nI.Image.save = lambda *a, **k: None", "how pictures are written"),
    changing("levels", "from retouch.api import Level\nLevel.mix = lambda s, a, b: a * 0", "a function of retouch"),
    changing(
        "limits",
        "import resource as r\nr.setrlimit(r.RLIMIT_FSIZE, (0, r.getrlimit(r.RLIMIT_FSIZE)[1]))",
        "what the process",
    ),
    changing("private", "os.umask(0o777)", "who may read new files"),
    changing("rings", "signal.setitimer(signal.ITIMER_REAL, 600)", "a timer, which would end the process"),
    changing("traps", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "the handler of Ctrl-C or of another signal"),
    changing("last", "sys.excepthook = threading.excepthook = sys.unraisablehook = None", "what becomes of exceptions"),
    changing("finds_none", "sys.meta_path.clear()", "where modules are looked for"),
    changing("collecting", "import gc\ngc.callbacks.append(lambda *a: 1 / 0)", "whether garbage is collected"),
    changing("threads", "torch.set_num_threads(3)", "the number of threads"),
    changing("settles", "torch.backends.cudnn.deterministic = True", "which kernels torch may choose"),
    changing("numbers", "import locale\nlocale.setlocale(locale.LC_ALL, 'C.UTF-8')", "how numbers are written"),
    changing("slow", "sys.setswitchinterval(10)", "how threads take turns"),
    changing("closes_one", "os.close(1)", "where the descriptors 1 and 2 lead"),
    changing("cramps", "threading.stack_size(65536)", "how much room new threads have"),
    changing("digits", "sys.set_int_max_str_digits(700)", "how long a number may be in digits"),
    changing(
        "spends",
        "import resource as r\nr.setrlimit(r.RLIMIT_CPU, (10**6, r.getrlimit(r.RLIMIT_CPU)[1]))",
        "what the process may use",
    ),
    changing("profiles", "signal.setitimer(signal.ITIMER_PROF, 9)", "a timer, which would end the process"),
    changing("blocks", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])", "which signals are heard"),
    changing("bombs", "import PIL.Image as P\nP.MAX_IMAGE_PIXELS = 1", "how large pictures may be"),
    changing("lenient", "import PIL.ImageFile as P\nP.LOAD_TRUNCATED_IMAGES = True", "whether half a picture is one"),
    changing(
        "moves_in_call",
        "def f(x):\n    os.chdir('/')\n    return x\nawait call(f, image.data)",
        "the folder that the process is in",
    ),
    Fault(
        "moves_deep",
        attend("moves_deep", 'Touch("self", "read", "q")', "os.chdir('/')", "").source,
        ATTEND.format(name="moves_deep"),
        "of 'f_moves_deep' changed the folder that the process is in",
        fails=False,
    ),
    Fault(
        "moves_saved",
        saving("moves_saved", "outbox.image(path, image); os.chdir('/')", "").source,
        'open "cat.png" | save moves_saved "moves_saved.png"',
        "of 'f_moves_saved' changed the folder that the process is in",
        fails=False,
    ),
    mask("forks", f"if child := os.fork(): os.waitpid(child, 0)\nreturn {FINE}", "", fails=False),
    mask("becomes", "os.execv('/bin/true', ['true'])", "'mask becomes' failed: it raised SystemExit"),
    mask("becomes_other", "os.execlp('true', 'true')", "'mask becomes_other' failed: it raised SystemExit"),
    mask("ends_below", "import posix\nposix._exit(3)", "'mask ends_below' failed: it raised SystemExit"),
    mask(
        "hashes",
        "class F:\n    def __hash__(self): sys.exit(6)\n    def __call__(self, x): return x\nawait call(F(), image.data)",
        "'mask hashes' failed: it raised SystemExit",
    ),
    mask(
        "equals",
        "class F:\n    def __hash__(self): return 1\n    def __eq__(self, o): sys.exit(7)\n    def __call__(self, x): return x\n"
        "await gather([call(F(), image.data), call(F(), image.data)])",
        "'mask equals' failed: it raised SystemExit",
    ),
    mask(
        "speechless",
        "class E(Exception):\n    def __str__(self): sys.exit(2)\nraise E",
        "'mask speechless' failed: E (f_",
    ),
    mask("rings_round", "e = ValueError('round')\ne.__cause__ = e\nraise e", "'mask rings_round' failed: round (f_"),
    mask(
        "asks_wrong",
        "from retouch.core.awaited.requests import Ask\nawait Ask([3])",
        "'mask asks_wrong' failed: it awaits a int",
    ),
    mask("opens", "open('/no/such/file')", "'mask opens' failed: [Errno 2] No such file or directory"),
]

HANDED_ON = [
    guide(
        "nan_late",
        "async def g(model, x, level, p, n):\n    r = await model(x, level, p)\n    return Prediction(r.pair / 0 * 0)\nreturn g",
        "'guide nan_late' made values that are not finite",
    ),
    walking(
        "nan_step", "return x[None]", "return state * float('nan')", "'solver nan_step' made values that are not finite"
    ),
    walking(
        "raises_late", "return x[None]", "return 1 / 0", "'solver raises_late' failed: division by zero (f_raises_late"
    ),
    Fault(
        "nan_blend",
        '@stage("blend", "nan_blend")\ndef nan_blend() -> Blend:\n    """X."""\n'
        '    return Blend(lambda state, *three: state * float("nan"))',
        BLEND.format(name="nan_blend"),
        "'blend nan_blend' made values that are not finite",
    ),
    invert(
        "nan_rule",
        "class R:\n    def begin(self, x): return x[None]\n    async def __call__(self, s, step, predict): return s * float('nan')\n"
        "return Trajectory(schedule, latents.data[None, None].repeat(3, 1, 1, 1, 1), R())",
        "'invert nan_rule' made values that are not finite",
    ),
    attend(
        "nan_q",
        'Touch("self", "transform", "q", rows="*")',
        "attn.q.fill_(float('nan'))",
        "'attend nan_q' made values that are not",
    ),
    attend("breaks", 'Touch("self", "transform", "q")', "1 / 0", "'attend breaks' failed: division by zero"),
    tune("tune_nothing", "Denoiser(None)", "'tune tune_nothing' has to give a Denoiser"),
    tune("tune_other", "3", "'tune tune_other' has to give a Denoiser"),
    tune(
        "tune_nan",
        "model.tuned(ModelDelta(weights={n: base / 0 * 0}))",
        "'tune tune_nan' made values that are not finite",
    ),
    tune(
        "tune_shape",
        "model.tuned(ModelDelta(weights={n: base[:1]}))",
        "'tune tune_shape' has to give a Denoiser with weights",
    ),
    tune("tune_name", "model.tuned(ModelDelta(weights={'no.such': base}))", "and gave 'no.such'"),
    tune(
        "tune_list",
        "model.tuned(ModelDelta(weights={n: [1]}))",
        "'tune tune_list' has to give a Denoiser with weights of its",
    ),
    tune(
        "tune_huge",
        "model.tuned(ModelDelta(weights={n: base * 1e38}))",
        "'tune tune_huge' made values that are not finite",
    ),
    tune(
        "tune_thin",
        "model.tuned(ModelDelta(low_rank={n: (base[:, :1, 0, 0], base[:2, 0, 0])}))",
        "'tune tune_thin' has to give",
    ),
]


def core(name: str, forward: str, said: str) -> Fault:
    """A stage whose model has a core of its own, which evaluates rows so."""
    made = tune(name, "Denoiser(Core(model.core))", said)
    lines = (
        "    def __init__(self, core): self.inner = core\n    def __getattr__(self, n): return getattr(self.inner, n)\n"
    )
    source = f"class Core:\n{lines}    def forward(self, groups, bucket): {forward}\n{made.source}"
    return Fault(name, source, made.flow, said)


_FORWARD = "a Denoiser whose core.forward gives a Reply for each group"
_NAN = "[r._replace(predictions=tuple(Prediction(p.pair * torch.nan) for p in r.predictions)) for r in"
CORES = [
    core("core_none", "return [None] * len(groups)", f"'tune core_none' has to give {_FORWARD}"),
    core("core_few", "return []", f"'tune core_few' has to give {_FORWARD}"),
    core("core_number", "return 3", f"'tune core_number' has to give {_FORWARD}"),
    core(
        "core_thin",
        "from retouch.core.awaited.requests import Reply; return [Reply(())]",
        "'tune core_thin' has to give",
    ),
    core("core_raises", "return 1 / 0", "'tune core_raises' failed: division by zero (f_core_raises.py"),
    core("core_leaves", "sys.exit(3)", "'tune core_leaves' failed: it raised SystemExit"),
    core("core_nan", f"return {_NAN} self.inner.forward(groups, bucket)]", "'tune core_nan' made values that are not"),
]

WILD = [*CORES, *MEMORY, *WEIGHTS, *PROCESS, *HANDED_ON]
