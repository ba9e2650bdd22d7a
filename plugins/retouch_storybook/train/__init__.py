"""Training of every part of the embedded model: `python -m retouch_storybook.train PART`.

What is here comes with the distribution retouch-bench; without it this file stands alone, and says so.
"""

from pathlib import Path

if not Path(__file__).with_name("loop.py").is_file():
    raise ModuleNotFoundError(
        "RT454: the trainers come with the distribution retouch-bench, which is not installed: "
        "pip install 'retouch[bench]'",
        name=__name__,
    )
