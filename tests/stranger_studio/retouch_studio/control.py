"""A control that lets the edit look where the source looks."""

from typing import Annotated

from retouch.api import Range, SiteCall, Touch, stage


@stage("attend", "gaze", touches=(Touch("self", "replace", "qk", until="until"),))
def gaze(*, until: Annotated[float, Range(0, 1)] = 0.5):
    """Give the target the source's queries and keys.

    until: fraction of the steps that are taken.
    """

    def look(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target", role="cond"):
            attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    return (look,)
