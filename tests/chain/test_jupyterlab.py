"""A notebook as its author works on it: opened in JupyterLab, run from the menu, nothing set up."""

import os
import re
import subprocess
import sys
from hashlib import sha256

import nbformat
import pytest
from browser import wait_until
from conftest import copy_project
from trackingserver import answers, free_port, wait_for

LAB = """
import sys
sys.modules["rfc3987_syntax"] = None  # as conftest.py does it, and for its reason
from jupyterlab.labapp import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A copy of the project with JupyterLab in its notebooks' folder, and the address."""
    place = tmp_path_factory.mktemp("lab")
    project = copy_project(place / "project")
    port = free_port()
    # A home of its own: no settings, kernels or workspaces of whoever runs the tests.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "MLFLOW"))
    }
    environment |= {"HOME": str(place), "PYTHONPATH": str(project)}
    command = [
        sys.executable,
        "-c",
        LAB,
        "notebooks",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",
    ]
    with open(place / "log", "w+") as log:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(f"{address}/api/status"), server)
            yield project, address
        finally:
            server.terminate()
            server.wait(60)
    assert server.returncode == 0


def content(project):
    return {
        path.relative_to(project).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in project.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


#: The open notebook as JupyterLab would save it.
NOTEBOOK = "() => jupyterapp.shell.currentWidget.content.model.toJSON()"

HAS_RUN = f"""() => ({NOTEBOOK})().cells.filter((cell) => cell.cell_type === "code")
    .every((cell, i) => cell.execution_count === i + 1)"""


def pictures(cells):
    return [
        "".join(output["data"]["image/svg+xml"])
        for cell in cells
        for output in cell.get("outputs", ())
        if "image/svg+xml" in output.get("data", ())
    ]


def test_a_notebook_runs_from_the_menu_as_in_the_chain(lab, finished, browser):
    project, address = lab
    before = content(project)
    (executed,) = finished[0].glob("experiments/runs/*/02_preparation.ipynb")
    reported = nbformat.read(executed, 4).cells
    with browser.new_context(viewport={"width": 1280, "height": 900}) as tab:
        page = tab.new_page()
        page.set_default_timeout(120_000)
        elsewhere = []
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith((address, "data:", "blob:")) or elsewhere.append(asked.url)
            ),
        )
        page.goto(f"{address}/lab/tree/02_preparation.ipynb")
        page.locator(".jp-StatusBar-Widget", has_text="Python 3 (ipykernel) | Idle").wait_for()
        assert not page.locator(".jp-Dialog").count()  # nobody is asked for a kernel

        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator(".lm-Menu-item", has_text=re.compile("^Run All Cells$")).click()
        wait_until(page, lambda: page.evaluate(HAS_RUN), seconds=120)
        cells = page.evaluate(NOTEBOOK)["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
        kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
        assert kinds == {"display_data", "execute_result"}  # no error, and no warning either
        assert pictures(cells) == pictures(reported) != []

        first = page.locator(".jp-OutputArea-output.jp-RenderedSVG img").first
        first.scroll_into_view_if_needed()
        wait_until(page, lambda: first.evaluate("image => image.naturalWidth") > 600)

        page.locator('.lm-TabBar-tab[data-id="table-of-contents"]').click()
        listed = page.locator(".jp-TableOfContents .jp-tocItem-content")
        headings = [
            line.lstrip("# ")
            for cell in cells
            if cell["cell_type"] == "markdown"
            for line in cell["source"].splitlines()
            if line.startswith("#")
        ]
        assert listed.all_inner_texts() == headings
        listed.get_by_text("What we found").click()
        page.get_by_role("heading", name="What we found").wait_for()
        assert elsewhere == []
    # The notebook writes what it does in the chain, from the same seed; nothing else is touched but
    # JupyterLab's copy to go back to.
    after = content(project)
    parts = [f"data/training/{name}.csv" for name in ("X_train", "X_test", "y_train", "y_test")]
    for made in (*parts, "experiments/preparation.json"):
        assert after.pop(made) == sha256((finished[0] / made).read_bytes()).hexdigest()
    assert after.pop("notebooks/.ipynb_checkpoints/02_preparation-checkpoint.ipynb")
    assert after == before
