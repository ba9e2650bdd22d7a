"""Right recipes, each showing one thing; the pages of the language are among them."""

from pathlib import Path

RECIPES = {path.stem: path.read_text("utf-8") for path in sorted((Path(__file__).parent / "recipes").glob("*.retouch"))}
EACH_FORM = {name: text for name, text in RECIPES.items() if not name.startswith("page_")}
