"""PixArt-alpha and PixArt-sigma: self- and cross-attention apart, T5's tokens masked.  Chen et al. 2023."""

from retouch import hookimpl
from retouch.api import families


class PixArt:
    """A transformer over patches of latents, which predicts noise and a variance."""

    name = "PixArt"

    def describe(self, read):
        """Read the configs, and insist that they belong together."""
        net, vae = read("transformer/config.json"), read("vae/config.json")
        families.same_width(net["caption_channels"], read("text_encoder/config.json")["d_model"])
        width = net["num_attention_heads"] * net["attention_head_dim"]
        pixel = families.vae_memory(vae["block_out_channels"])
        scale, side, blocks = 2 ** (families.unet_levels(vae) - 1), net["patch_size"], net["num_layers"]
        sites = [_site(i, kind, blocks, side) for i in range(blocks) for kind in ("self", "cross")]
        return families.Described(
            channels=net["in_channels"],
            scale=scale,
            multiple=scale * side,
            trained_size=net["sample_size"] * scale,
            tokens=(tokens := min(300, read("tokenizer/tokenizer_config.json").get("model_max_length", 120))),
            prediction="epsilon",
            parts=("transformer", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": families.PromptReading(tokens)},
            sites=families.with_depth(sites),
            grid=families.noise_levels(read("scheduler/scheduler_config.json")).grid,
            working=families.token_memory(width, picture=13.5, text=2, side=side, pixel=pixel),
            defaults={"guidance": 4.5, "steps": 20},
        )

    def schedule(self, read, steps, size):
        """The grid of diffusers' DDIMScheduler over the trained noise levels."""
        from retouch.api.kit import ddim_schedule

        return ddim_schedule(read("scheduler/scheduler_config.json"), steps)

    def load(self, known, parts):
        """Load the transformer, the VAE and T5's encoder."""
        from diffusers import AutoencoderKL, PixArtTransformer2DModel

        from retouch.api import Prompt
        from retouch.api.kit import Texts, VaeCodec, t5_encoder

        def masked(text, read):
            return Prompt(text, read.embeds, read.tokens.spans, read.tokens.ids, extra={"mask": read.mask})

        t5 = t5_encoder(parts, known.tokens, read=lambda model, ids, mask: model(ids, attention_mask=mask)[0])
        vae = VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known)
        return families.Loaded(
            Transformer(parts.diffusers(PixArtTransformer2DModel, "transformer")), vae, Texts([t5], masked)
        )


class Transformer(families.Net):
    """It is told the words that are no padding."""

    def forward(self, ask, rows):
        """[B, C, h, w]; the variance behind it is DDPM's, and no concern of ours."""
        mask, sizes = rows.extra["mask"].to(rows.x), {"resolution": None, "aspect_ratio": None}
        out = ask(rows.x, rows.embeds, rows.timesteps, sizes, encoder_attention_mask=mask, return_dict=False)[0]
        return out[:, : rows.x.shape[1]]


def _site(block, kind, blocks, side):
    name = f"transformer_blocks.{block}.{'attn1' if kind == 'self' else 'attn2'}"
    return families.Site(name, kind, "down" if 2 * block < blocks else "up", block, side)


FAMILY = PixArt()


@hookimpl
def retouch_families():
    """What this distribution adds."""
    return {"PixArtAlphaPipeline": "retouch_pixart:FAMILY", "PixArtSigmaPipeline": "retouch_pixart:FAMILY"}
