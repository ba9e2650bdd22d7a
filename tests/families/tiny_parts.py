"""Parts that tiny models of several families have: words, text models, codecs and the small UNet."""

from __future__ import annotations

from typing import Any

import transformers as tr
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn

from retouch.models.catalog import find

TEXT = "a white black cat dog red hat on the beach photo of and with blue car watercolor painting sitting"


def randomised(module: nn.Module) -> Any:
    """What training begins from zero, made random."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return module.eval()


def clip_words() -> Any:
    """CLIP's byte pairs, with the merges of the embedded model."""
    return tr.CLIPTokenizer.from_pretrained(find("storybook").folder / "tokenizer", model_max_length=77)


def t5_words(length: int = 64) -> Any:
    """Pieces as T5 has them: a blank before a word, no start, an end."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [("▁" + word, -2.0) for word in TEXT.split()] + [
        (letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz.,"
    ]
    words = Tokenizer(models.Unigram(pieces, unk_id=2))
    words.pre_tokenizer, words.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return tr.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=length, **special)


def qwen_words(*, thinks: bool = False) -> Any:
    """Qwen's byte pairs and its chat template; thinks: whether the template can put an empty thought."""
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in TEXT.split()[:12]:
        made = "Ġ"
        for letter in word:
            if (made, letter) not in merges:
                merges.append((made, letter))
                vocabulary.setdefault(made + letter, len(vocabulary))
            made += letter
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(["<think>", "</think>"] if thinks else [])]
    words = tr.Qwen2Tokenizer(vocabulary | {mark: len(vocabulary) + i for i, mark in enumerate(marks)}, merges)
    words.add_tokens([tr.AddedToken(mark, special=True) for mark in marks])
    thought = "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}" if thinks else ""
    words.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n" + thought + "{% endif %}"
    )
    return words


def clip_text(*, projects: bool = False) -> Any:
    """Three layers; the published ones that project have another activation, too."""
    words = len(clip_words())
    config = tr.CLIPTextConfig(
        vocab_size=words,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=32,
        hidden_act="gelu" if projects else "quick_gelu",
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
    )
    return (tr.CLIPTextModelWithProjection if projects else tr.CLIPTextModel)(config)


def t5_text(width: int) -> Any:
    """Two layers of the encoder."""
    shape = {"d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu"}
    return tr.T5EncoderModel(tr.T5Config(vocab_size=len(t5_words()), d_model=width, dropout_rate=0.0, **shape))


def qwen3_text() -> Any:
    """Four layers, with fewer keys than queries."""
    shape = {"num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    words = len(qwen_words(thinks=True))
    return tr.Qwen3ForCausalLM(tr.Qwen3Config(vocab_size=words, hidden_size=32, intermediate_size=64, **shape))


def qwen_vl_text() -> Any:
    """Two layers that read, and one that sees."""
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    return tr.Qwen2_5_VLForConditionalGeneration(
        tr.Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(qwen_words()),
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "max_window_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "rope_parameters": rope,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 32,
                "fullatt_block_indexes": [0],
            },
        )
    )


def vae(factor: float, shift: float | None = None) -> Any:
    """Two levels, so two pixels a cell; a newer VAE is shifted, and has no convolutions about its latents."""
    return AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=factor,
        shift_factor=shift,
        use_quant_conv=shift is None,
        use_post_quant_conv=shift is None,
        sample_size=32,
    )


def ddim(**more: Any) -> Any:
    """Stable Diffusion's noise levels."""
    levels = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return DDIMScheduler(steps_offset=1, set_alpha_to_one=False, clip_sample=False, **levels, **more)


def unet(**more: Any) -> Any:
    """Two levels, of which one attends."""
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, norm_num_groups=8, **more
    )
