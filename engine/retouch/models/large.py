"""From where on memory is dearer than time: a run goes by this, and `plan` prices by it."""

LARGE = 100_000_000  # weights of a network whose blocks a tuning does again on the way back
