"""Ways to edit a scene: recipes behind `scene | fit field`, in which EDIT stands for the words."""

from __future__ import annotations

from retouch.api.checking import Plugin, Registry, installed_plugins, load_registry

WALK = "revise (invert edit_friendly EDIT | mask diffedit | blend latent | blend pixel)"
DRAWN = (
    "revise (mask diffedit EDIT | draw (invert cycle_diffusion EDIT eta=1 | blend latent | blend pixel) seeds=6"
    " | rank denoiser)"
)
LIKELIEST = (
    "revise (mask diffedit EDIT | draw (invert edit_friendly EDIT | blend latent | blend pixel) seeds=6"
    " | rank denoiser)"
)
TOGETHER = (
    "revise (mask diffedit EDIT | draw (invert cycle_diffusion EDIT eta=1 | attend pnp_features | blend latent"
    " | blend pixel) seeds=6 | rank denoiser contrast=2)"
)
DDPM = "revise (invert cycle_diffusion EDIT eta=1 | mask diffedit | blend latent | blend pixel)"
MEANS = (
    'revise (mask diffedit EDIT | guide cfg guidance=1 | distil sds rounds=20 rate=1 weight="x0" levels="falling"'
    " draws=5 share=60% low=0% high=100% | blend pixel)"
)
VOXELS = "mask lift (mask diffedit EDIT) | guide cfg guidance={} | revise vox_e EDIT lr=0.1 rounds=200"
MEASURED = "retouch_bench.scenes.voxel_distilling"
MASKED = "mask diffedit EDIT | mask dilate pixels=4"
WAYS: dict[str, str] = {
    "walk": WALK,
    "walk, then dds": f"{WALK} | revise (distil dds EDIT rounds=15)",
    "walk, dds, dds": f"{WALK} | revise (distil dds EDIT rounds=15) | revise (distil dds EDIT rounds=15)",
    "walk by DDPM": DDPM,
    "the likeliest draw": DRAWN,
    "six draws, features kept, contrast 2": TOGETHER,
    "the likeliest walk": LIKELIEST,
    "a mean at every level": MEANS,
    "dds": f"revise ({MASKED} | distil dds rounds=40 | blend pixel)",
    "dds, twice": f"revise ({MASKED} | distil dds rounds=40 | blend pixel)"
    " | revise (distil dds EDIT rounds=20 rate=0.05)",
    "pds": f"revise ({MASKED} | distil pds rounds=40 | blend pixel)",
    "voxels by sds": VOXELS.format(7) + " at_once=4",
    "voxels by sds, not held": VOXELS.format(7) + " at_once=4 correlation=0",
    "voxels by dds": VOXELS.format(3) + ' at_once=2 score="dds"',
    "walk, no mask": "revise (invert edit_friendly EDIT)",
    "walk, one by one": f'{WALK} order="one_by_one"',
}
BOUNDS = ("no edit", "ceiling")
# For a kind of edit, what recipes/scenes have.
RECOMMENDED = {"dog": "walk, dds, dds", "hat": "walk by DDPM", "color": "walk", "thing": "walk, then dds"}


def written(way: str, operand: str, caption: str, folder: str, bounds: str = "", model: str = "storybook") -> str:
    """The recipe that makes a field of a scene by this way; bounds: options, how far from cameras a thing is."""
    fit = f'model "{model}"\nopen views "{folder}/" caption="{caption}" | fit field {bounds}'.rstrip()
    flow = f"{WAYS[way].replace('EDIT', operand)} | " if way in WAYS else ""
    return f'{fit} | {flow}save field "field.safetensors"\n'


def stages() -> Registry:
    """All that recipes have, and what is only measured."""
    return load_registry([*installed_plugins(), Plugin("measured", MEASURED, "retouch-bench")])
