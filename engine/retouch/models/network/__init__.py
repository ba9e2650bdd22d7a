"""The network behind `await model(...)`, whatever its family: packing, the seam for controls, and its kernels."""
