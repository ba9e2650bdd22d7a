"""Register the benchmarks with the engine."""

from retouch import hookimpl


@hookimpl
def retouch_benches():
    """Register what `retouch bench` measures."""
    return {
        "attributes": "retouch_bench.attributes:main",
        "large": "retouch_bench.large:main",
        "packing": "retouch_bench.packing:main",
        "painted": "retouch_bench.painted:main",
        "quality": "retouch_bench.quality:main",
        "scenes": "retouch_bench.scenes.main:main",
        "speed": "retouch_bench.speed.main:main",
        "tuning": "retouch_bench.tuning:main",
    }
