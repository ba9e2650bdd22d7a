"""Register the embedded model with the engine."""

from retouch import hookimpl


@hookimpl
def retouch_models():
    """Register the model that ships with retouch."""
    return {"storybook": "weights"}
