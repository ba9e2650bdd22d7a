"""Schedules: which noise levels a walk visits."""
