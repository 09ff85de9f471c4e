"""Why units of work could not be done."""

#: So often a unit may see a process die before it is given up.
MAX_WORKER_DEATHS = 5


class WorkersDied(RuntimeError):
    """Workers have died again and again; ``numbers`` are the units that were under way."""

    def __init__(self, numbers: list[int], units: int):
        self.numbers = numbers
        super().__init__(
            f"workers died {MAX_WORKER_DEATHS} times, as they do when memory runs out, at unit "
            f"{' and '.join(str(number + 1) for number in numbers)} of {units}; free some memory, "
            "or let fewer work side by side"
        )


class NoCluster(RuntimeError):
    """Why work cannot be done on a cluster, in one sentence."""
