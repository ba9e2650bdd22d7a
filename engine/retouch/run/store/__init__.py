"""Work that several recipes share, kept on disk from run to run: inversions, masks and tuned weights.

`place`: where it lies and how large it may grow; `blobs`: files by what is in them; `encoding`: values as such files;
`keys`: what a value depends on; `keeping`: the stages of a run, whose values come from there or go there.
"""
