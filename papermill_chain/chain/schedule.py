"""Which stages can start, and which can wait, as others come to their end."""

from collections.abc import Container, Mapping, Sequence

from papermill_chain.chain.stages import Stage, upstream


def waiting_stages(
    stages: Sequence[Stage], status: Mapping[str, str], upstream_states: Container[str]
) -> list[Stage]:
    """The stages that have not run and read from none but stages in these states, in order.

    A stage that failed stops those that read from it, and no other.
    """
    return [
        stage
        for stage in stages
        if status[stage.name] == "not run"
        and all(status[name] in upstream_states for name in upstream(stage, stages))
    ]


def stopped_stages(stages: Sequence[Stage], status: Mapping[str, str]) -> set[str]:
    """The names of the stages that cannot run: what they read from, over others too, has failed.

    Parameters
    ----------
    stages : in order, each after those it reads from.
    """
    without_files = {name for name in status if status[name] == "failed"}
    stopped = set[str]()
    for stage in stages:
        if upstream(stage, stages) & (without_files | stopped):
            stopped.add(stage.name)
    return stopped


def can_wait(stage: Stage, stages: Sequence[Stage], status: Mapping[str, str]) -> bool:
    """Whether no stage reads from this one, while there are others from which some do."""
    read_from = set[str]().union(*(upstream(other, stages) for other in stages))
    unfinished = {name for name in status if status[name] in ("running", "not run")}
    unfinished -= stopped_stages(stages, status)
    return stage.name not in read_from and bool(read_from & unfinished)
