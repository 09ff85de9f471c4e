"""The server with its own packages only: whatever else is installed here cannot be imported."""

from pathlib import Path

import pandas as pd
import pytest
from leanserver import lean_program
from published import ONE, THREE, TWO, publish
from servers import creditrisk, start

from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from


@pytest.fixture(scope="module")
def program() -> tuple[str, ...]:
    return lean_program()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("lean") / "models", "Logistic Regression", 1)


def test_it_answers_as_the_whole_project_does(program, models, tmp_path):
    whole = create_app(serve_from(str(models))).test_client()
    server = start(models, tmp_path / "log", program=program)
    try:
        for query in ("", "?reasons=true", "?recourse=true"):
            status, answers = server.post([ONE, TWO, THREE], query)
            expected = whole.post(f"/predict{query}", json=[ONE, TWO, THREE]).json
            assert (status, len(answers)) == (200, 3)
            for answer, same in zip(answers, expected):
                for each in (answer, same):
                    del each["id"], each["request_id"]
                assert answer == same
        assert server.get("/ready")[1]["status"] == "ready"
        for page in ("/", "/docs", "/metrics", "/openapi.json"):
            assert server.ask("GET", page).status == 200, page

        asked = creditrisk("predict", "--url", server.url, cwd=models.parent, program=program)
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.count("\n") == 4  # a head and three applicants
        table = models.parent / "applications.csv"
        pd.DataFrame([ONE, THREE]).to_csv(table, index=False)
        of_file = creditrisk(
            "predict", str(table), "--url", server.url, cwd=models.parent, program=program
        )
        lines = asked.stdout.splitlines()
        assert of_file.stdout.splitlines()[1:] == [lines[1], lines[3].replace("     3", "     2")]
        assert server.stop() == 0
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize(
    "command",
    [
        "serve --models models:/Credit_Risk_Model@production",
        "rollback --reason faults",
        "score a b",
    ],
)
def test_what_needs_more_says_what_it_needs(program, command, tmp_path):
    refused = creditrisk(*command.split(), cwd=tmp_path, program=program)
    needed = "rich" if command.startswith("score") else "mlflow"
    assert refused.returncode == 2
    assert f"the package {needed}, which is not installed" in refused.stderr
    assert "install the whole project" in refused.stderr and refused.stderr.count("\n") == 1
