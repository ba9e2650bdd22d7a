"""A second device that is pretended: the CPU's numbers under the rules of a GPU, for machines without one."""
