"""The page as an application: the form, what would run, a run as it goes on, and its reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from papermill_chain.chain.parameter_files import MANIFEST
from papermill_chain.chain.parameters import ChainError
from papermill_chain.reports.listing import outlooks
from papermill_chain.reports.pages import filled, rendered
from papermill_chain.runs.lookup import read_runs
from papermill_chain.ui.desk import Desk
from papermill_chain.ui.earlier import filled_again
from papermill_chain.ui.form import Filled, arguments_of, fields_of, filled_in
from papermill_chain.ui.kept_files import answer_with, folder_of
from papermill_chain.ui.progress import report_of
from papermill_chain.ui.security import HEADERS, Guard

LARGEST_FORM = 1_000_000  # bytes
RUNS_SHOWN = 5
FIELDS_OPEN = 12  # parameters that are all in view; of more, only those of several notebooks are


def create_app(desk: Desk, guard: Guard) -> Flask:
    """The page of a chain, for whoever the guard lets in."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_FORM
    page = Page(desk, guard)

    @app.before_request
    def check() -> None:
        guard.check_name(request)
        if request.endpoint == "kept":
            guard.check_address((request.view_args or {})["shown"])
        elif request.endpoint != "icon" and not (
            request.endpoint == "enter" and guard.has_token(request)
        ):
            guard.check_visitor(request)
        if request.method not in ("GET", "HEAD"):
            guard.check_form(request)

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> AnyResponse:
        return Response(f"{error.description}\n", error.code, content_type="text/plain")

    @app.errorhandler(ChainError)
    def broken(error: ChainError) -> AnyResponse:
        return Response(f"{error}\n", HTTPStatus.CONFLICT, content_type="text/plain")

    @app.get("/", endpoint="enter")
    def enter() -> AnyResponse:
        if "token" in request.args:
            # A page that goes on by itself: after a redirect a browser that came from elsewhere,
            # such as a terminal in a page, would not send the cookie.
            return guard.admit(Response(rendered("ui_enter.html.j2")))
        if "again" in request.args:
            return page.again(request.args["again"])
        return page.shown(Filled() if "defaults" in request.args else desk.filled)

    @app.get("/favicon.ico", endpoint="icon")
    def icon() -> AnyResponse:
        return Response(status=HTTPStatus.NO_CONTENT)  # browsers ask for it, reports have none

    @app.post("/plan")
    def plan() -> AnyResponse:
        return page.planned()

    @app.post("/start")
    def start() -> AnyResponse:
        return page.started()

    @app.post("/stop")
    def stop() -> AnyResponse:
        if desk.child:
            desk.child.ask_to_stop()
        return redirect("/", HTTPStatus.SEE_OTHER)

    @app.get("/progress")
    def progress() -> dict[str, Any]:
        return page.progress(request.args.get("of", ""), request.args.get("after", 0, int))

    @app.get("/kept/<shown>/<path:name>", endpoint="kept")
    def kept(shown: str, name: str) -> AnyResponse:
        return answer_with(folder_of(desk.chain.experiments), name)

    return app


@dataclass(frozen=True)
class Page:
    """What the page shows."""

    desk: Desk
    guard: Guard

    def planned(self) -> AnyResponse:
        """The form as it was sent, with what would run, or with what is wrong."""
        filled, arguments = self._sent()
        plan: dict[str, str] = {}
        if not filled.faults:
            try:
                would_run = outlooks(self.desk.chain.plan(arguments))
                plan = {stage: outlook.text for stage, outlook in would_run.items()}
            except ChainError as refusal:
                filled.faults[""] = str(refusal)
        return self.shown(filled, plan=plan)

    def started(self) -> AnyResponse:
        """The way back to the page, on which the run is; or the form with what is wrong."""
        filled, arguments = self._sent()
        if not filled.faults:
            try:
                self.desk.start(arguments, filled)
                return redirect("/", HTTPStatus.SEE_OTHER)
            except ChainError as refusal:
                filled.faults[""] = str(refusal)
        return self.shown(filled)

    def again(self, run: str) -> AnyResponse:
        """The form with the parameters of one of the last runs."""
        chain, form = self.desk.chain, Filled()
        notebooks = chain.notebooks()
        folders = [each.folder for each in read_runs(chain.experiments)[:RUNS_SHOWN]]
        try:
            manifest = next(folder / MANIFEST for folder in folders if folder.name == run)
            form = filled_again(manifest, chain.stages, notebooks, chain.root)
        except StopIteration:
            form.faults[""] = "that run is none of the last ones any more"
        except ChainError as refusal:
            form.faults[""] = str(refusal)
        return self.shown(form)

    def shown(self, form: Filled, plan: Mapping[str, str] | None = None) -> Response:
        """The whole page."""
        chain = self.desk.chain
        notebooks = chain.notebooks()
        fields = fields_of(chain.stages, notebooks, chain.root)
        text = filled(
            "ui.html.j2",
            title=chain.title,
            stages=chain.stages,
            notebooks=notebooks,
            few=len(fields) <= FIELDS_OPEN,
            shared=[field for field in fields if len(field.stages) > 1],
            own={
                stage.name: [field for field in fields if field.stages == (stage.name,)]
                for stage in chain.stages
            },
            takes_any=[name for name, notebook in notebooks.items() if notebook.takes_any],
            form=form,
            changed=form.changed(fields),
            plan=plan,
            csrf=self.guard.form,
            running=self.desk.is_running,
            **self._of_run(),
        )
        status = HTTPStatus.BAD_REQUEST if form.faults else HTTPStatus.OK
        return Response(text, status, content_type="text/html; charset=utf-8")

    def progress(self, of: str, after: int) -> dict[str, Any]:
        """How far the run has come, as HTML, and the lines of its log that are new.

        Parameters
        ----------
        of, after : the run whose log the page shows, and how many of its lines.
        """
        facts = self._of_run()
        progress = facts["progress"]
        key, log = facts["key"], progress.log if progress else None
        lines = log.after(after if of == key else 0) if log else []
        return {
            "html": rendered("ui_run.html.j2", **facts),
            "summary": progress.summary if progress else "",
            "running": self.desk.is_running,
            "of": key,
            "printed": log.printed if log else 0,
            "lines": lines,
        }

    def _of_run(self) -> dict[str, Any]:
        """What is shown of the run, and of the last ones on record."""
        chain = self.desk.chain
        base = folder_of(chain.experiments)
        below = chain.experiments.relative_to(base).as_posix()
        kept = f"/kept/{self.guard.files}/{'' if below == '.' else quote(below) + '/'}"
        progress = self.desk.progress
        of_run = progress.of_run if progress else []
        reports = {stage.name: report_of(stage, chain.experiments) for stage in of_run}
        return {
            "progress": progress,
            "key": str(progress.began) if progress else "",
            "reports": {name: kept + report for name, report in reports.items() if report},
            "index": f"{kept}index.html" if (chain.experiments / "index.html").is_file() else "",
            "runs": read_runs(chain.experiments)[:RUNS_SHOWN],
        }

    def _sent(self) -> tuple[Filled, list[str]]:
        """The form that was sent, with its faults, and the arguments that it stands for."""
        chain = self.desk.chain
        notebooks = chain.notebooks()
        fields = fields_of(chain.stages, notebooks, chain.root)
        form = filled_in(request.form, request.form.getlist("only"), fields)
        return form, arguments_of(form, fields, chain.stages, notebooks, chain.root)
