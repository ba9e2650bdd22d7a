"""Register the embedded model with the engine."""

from retouch import hookimpl


@hookimpl
def retouch_models():
    """Register the models that ship with retouch: of 64 and of 128 pixels, and of 64 without a text or a VAE."""
    return {"storybook": "weights", "storybook128": "weights128", "storybook_pixels": "weights/pixel"}


@hookimpl
def retouch_pretrained():
    """Register the image-text model of the same world, for guidance and measures."""
    return {"storybook": "weights/image_text"}
