"""Right recipes, each showing one thing; the pages of the language are among them."""

from pathlib import Path


def recipes(folder: str) -> dict[str, str]:
    """The recipes of a folder beside this file, by name."""
    found = sorted((Path(__file__).parent / folder).glob("*.retouch"))
    return {path.stem: path.read_text("utf-8") for path in found}


RECIPES = recipes("recipes")
EACH_FORM = {name: text for name, text in RECIPES.items() if not name.startswith("page_")}
UNSEEN = recipes("unseen")  # written before the parser was shown them; not to be tuned on
