"""Many ticks of a minimiser per launch: on CUDA they are captured once and replayed as a graph."""

from typing import Any

import torch

from phase_utils.training.rows import Evaluate, State

CHECK_EVERY = 10  # ticks between looks at convergence
PAYS_AFTER = 20  # blocks of ticks that a batch must live through before a capture pays
SMALL_BATCH = 4_000_000  # numbers in the weights above which the launches do not matter (H100)


class Ticks:
    """Advances a state by blocks of ticks.

    A graph replays fixed addresses: it belongs to one state, whose tensors it updates in place,
    until rows are cut out of it. A method whose ticks differ repeats after `period` of them, and a
    block is a whole number of periods.
    """

    def __init__(self, method: Any, evaluate: Evaluate, *, capture: bool) -> None:
        self.method = method
        self.evaluate = evaluate
        self.capture = capture
        period = method.period if capture else 1
        self.block = -(-CHECK_EVERY // period) * period
        self.graph: Any = None
        self.state: State | None = None
        self.lived = self.taken = 0

    def advance(self, state: State, count: int) -> None:
        """Take `count` ticks."""
        if state is not self.state:
            self.state, self.graph, self.lived = state, None, 0
        self.lived += 1
        first, self.taken = self.taken, self.taken + count
        small = state["x"].numel() <= SMALL_BATCH
        if not (self.capture and small) or count != self.block or self.lived <= PAYS_AFTER:
            self._plainly(state, first, count)
            return
        if self.graph is None:
            self.graph = self._captured(state, first)
        self.graph.replay()

    def _plainly(self, state: State, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.method.tick(state, self.evaluate, number)

    def _captured(self, state: State, first: int) -> Any:
        warm = torch.cuda.Stream()
        warm.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(warm):  # libraries set themselves up outside of the graph
            self._plainly({name: value.clone() for name, value in state.items()}, first, self.block)
        torch.cuda.current_stream().wait_stream(warm)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work = dict(state)
            self._plainly(work, first, self.block)
            for name, value in work.items():
                if value is not state[name]:
                    state[name].copy_(value)
        return graph
