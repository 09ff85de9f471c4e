"""Every way that opens a model: the project's own, the server's alone, and MLflow's loader."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from leanserver import Commands
from mlflow.artifacts import download_artifacts
from published import ONE, THREE, TWO

from creditrisk.portfolio.decisions import score_part
from creditrisk.portfolio.job import RUN, FailedPart, Job, Part
from creditrisk.portfolio.output import Store
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import entry
from creditrisk.registry import mlflow_flavor, mlflow_store
from creditrisk.scoring.scorer import ModelRefused, Scorer
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_manifest import KEY
from creditrisk.scoring.sources.production import InUse
from creditrisk.serving.model_reload import Served, serve_from
from creditrisk.serving.recording import open_recorder
from creditrisk.serving.replay import replay

NAME = "Credit_Risk_Model"


class Ways:
    """Every way that opens a model; each raises ModelRefused if it refuses it."""

    def __init__(self, place: Path, artifacts: Path, scorer: Scorer, lean: Commands):
        self.place, self.artifacts, self.scorer, self.lean = place, artifacts, scorer, lean
        self.log, self.out, source = place / "decisions.jsonl", place / "out", place / "in.csv"
        [decided] = scorer.score(ONE)
        answer = {"probability": decided.probability, "decision": decided.decision}
        model = {"name": scorer.name, "version": scorer.version, "sha256": scorer.sha256}
        log = open_log(self.log)
        log.append([entry("one", "2026-01-01T00:00:00Z", model, ONE, answer)])
        log.close()
        pd.DataFrame([ONE, TWO, THREE]).to_csv(source, index=False)
        Store.at(str(self.out)).write_json(RUN, {"run": "one"})
        self.part = Part("in.csv.parquet", str(source), source.stat().st_size, 0)

    def of(self, where: str) -> list[Callable[[str], None]]:
        everywhere = [self.load, self.start, self.reload, self.shadow, self.portfolio, self.replay]
        if where == "folder":
            return [*everywhere, self.lean_start, self.lean_shadow]
        return [*everywhere, self.registration, self.mlflow_download, self.mlflow_folder]

    def load(self, model: str) -> None:
        load_scorer(model)

    def start(self, model: str) -> None:
        serve_from(model)

    def reload(self, model: str) -> None:
        self._taken(self._renewed(model))

    def shadow(self, model: str) -> None:
        """In place of the one that is scored beside each decision; that goes on."""
        beside, log = self._renewed(model), fresh(self.place / "shadow") / "decisions.jsonl"
        recorder = open_recorder(log, beside)
        recorder.decided(self.scorer, [ONE], [{"id": "one", "request_id": "one"}], None)
        recorder.close()
        scored = json.loads(log.read_text())["shadow"]
        assert scored["probability"] == self.scorer.score(ONE)[0].probability
        self._taken(beside)

    def _renewed(self, model: str) -> Served:
        served = Served(model, InUse(model, "named"), self.scorer, "another state")
        served.renew()
        return served

    def _taken(self, served: Served) -> None:
        if served.refused is not None:
            assert served.scorer is self.scorer, "the present model goes on"
            raise ModelRefused(served.refused.reason)

    def lean_start(self, model: str) -> None:
        self._typed("serve", "--models", model)

    def lean_shadow(self, model: str) -> None:
        log = fresh(self.place / "lean") / "decisions.jsonl"
        own = str(self.place / "models")
        self._typed("serve", "--models", own, "--shadow", model, "--decision-log", str(log))

    def _typed(self, *arguments: str) -> None:
        """Typed where only the server is installed, with a port that is taken: none listens."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            code, said = self.lean.run(*arguments, "--port", port, **{KEY: os.environ.get(KEY)})
        assert code == 2 and said.startswith("creditrisk: ") and said.count("\n") == 1, (code, said)
        if "cannot listen on" not in said:
            raise ModelRefused(said)

    def portfolio(self, model: str) -> None:
        source, out = self.part.path, str(self.out)
        done = score_part(
            Job("one", model, self.scorer.sha256, source, out, None, False), self.part
        )
        if isinstance(done, FailedPart):
            raise ModelRefused(done.reason)

    def replay(self, model: str) -> None:
        assert replay("one", str(self.log), model).same

    def registration(self, model: str) -> None:
        mlflow_store.load(NAME, model.rpartition("/")[2])

    def mlflow_download(self, model: str) -> None:
        """The loader module, with a registry to ask."""
        folder = fresh(self.place / "download")
        mlflow_flavor._load_pyfunc(download_artifacts(model, dst_path=str(folder)))

    def mlflow_folder(self, model: str) -> None:
        """The loader module, with nothing but the files."""
        mlflow_flavor._load_pyfunc(str(self.artifacts))


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
