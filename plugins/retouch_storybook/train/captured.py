"""A step of training as one CUDA graph: thousands of launches become one, which matters where the host is slow."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # calls before the capture, which make all state there is
RUN_AHEAD = 20  # calls between two marks; the host is at most two marks ahead of the GPU


class Captured:
    """A function of random draws; on a GPU its first calls run as they are, then it is captured and replayed.

    What it reads and writes must be tensors that stay where they are; its result is one tensor, the same at each call.
    A function that cannot be captured goes on as it is.
    """

    def __init__(self, function: Callable[[torch.Generator], Tensor], device: torch.device, seed: int) -> None:
        self.function, self.device, self.seed = function, device, seed
        self.draws = torch.Generator(device).manual_seed(seed)
        self.calls, self.graph, self.result = 0, None, torch.zeros((), device=device)
        on_gpu = device.type == "cuda"
        self.stream = torch.cuda.Stream(device) if on_gpu else None
        self.marks = [torch.cuda.Event() for _ in range(2)] if on_gpu else []

    def __call__(self) -> Tensor:
        """Run it once; on a GPU the host does not wait for it, but for calls long before it."""
        if self.stream is not None and self.calls == WARM_UP:
            # Capture a call; nothing of it is run, so that a failure leaves all state as it was
            graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            try:
                torch.cuda.synchronize()
                graph.register_generator_state(self.draws)
                with torch.cuda.graph(graph, stream=self.stream):
                    self.result = self.function(self.draws)
                torch.cuda.synchronize()
                self.graph = graph
            except Exception as error:  # whatever the reason, steps without a graph are better than none
                reason = str(error).splitlines()[:1]
                torch.cuda.set_stream(current)
                print(f"steps go without a CUDA graph: {type(error).__name__} {' '.join(reason)}", flush=True)
                self.draws = torch.Generator(self.device).manual_seed(self.seed + 1)
        if self.graph is not None:
            self.graph.replay()
        elif self.stream is not None and self.calls < WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.result = self.function(self.draws)
            torch.cuda.current_stream().wait_stream(self.stream)
        else:
            self.result = self.function(self.draws)
        self.calls += 1
        if self.marks and self.calls % RUN_AHEAD == 0:
            self.marks[0].synchronize()  # an event that was never recorded is over
            self.marks.reverse()
            self.marks[1].record()
        return self.result
