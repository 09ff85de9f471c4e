"""``creditrisk serve | predict``: answer applications over HTTP, and ask who does.

Each returns its exit code, and imports what it needs when it runs.
"""

import argparse

from creditrisk.commands.options import (
    Parsers,
    add_blank_is_level,
    add_data,
    contract_file,
    data_set_of,
    failed,
    home_of,
)


def add_to(parsers: Parsers) -> None:
    """Add the commands to those of ``creditrisk``."""
    _add_serve(parsers)
    _add_predict(parsers)


def _add_serve(parsers: Parsers) -> None:
    serve = parsers.add_parser(
        "serve",
        help="answer applications over HTTP",
        description="Serve decisions over HTTP. SIGHUP looks for a newer model at once; SIGTERM "
        "stops once every request that has come is answered. If CREDITRISK_TOKEN is set, decisions "
        "and metrics need it as a bearer token. If CREDITRISK_MANIFEST_KEY is set, only a model "
        "signed with it is served.",
    )
    whose = serve.add_mutually_exclusive_group()
    add_data(whose)
    whose.add_argument(
        "--models",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS of the registry (default: what is in production, from "
        "models/ if that is the same)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    serve.add_argument(
        "--port", type=_port, default=8000, help="port, 0 for a free one (default: 8000)"
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer under this name too, beside localhost; may be repeated",
    )
    serve.add_argument(
        "--decision-log",
        metavar="FILE",
        help="record each decision in FILE (*.jsonl) before it is answered, and refused requests "
        "by reason beside it",
    )
    serve.add_argument(
        "--shadow",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS, of a model that is scored on the same applications "
        "and never decides; the decision log has its probabilities",
    )
    serve.add_argument(
        "--watch",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="how often to look for a newer model (default: 3)",
    )
    serve.set_defaults(run=_serve)


def _port(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = -1
    if not 0 <= found <= 65_535:  # a larger one would be cut to 16 bits, without a word
        raise argparse.ArgumentTypeError("give 0 to 65535")
    return found


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 86_400:
        raise argparse.ArgumentTypeError("give 0.1 to 86400 seconds")
    return found


def _add_predict(parsers: Parsers) -> None:
    predict = parsers.add_parser(
        "predict",
        help="send applications to a server and show its decisions",
        description="Send applications to a running server and print its decisions. If "
        "CREDITRISK_TOKEN is set, it is shown to the server.",
    )
    predict.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="JSON or CSV, - for standard input; without it three made-up applicants",
    )
    predict.add_argument(
        "--reasons", action="store_true", help="also ask what holds each score down"
    )
    predict.add_argument(
        "--recourse",
        action="store_true",
        help="also ask for the smallest changes by which the model would approve; about the model, "
        "and no promise of a loan",
    )
    predict.add_argument(
        "--mlflow", action="store_true", help="the server is `mlflow models serve`"
    )
    predict.add_argument(
        "--url", help="the server (default: http://127.0.0.1:8000, or :5000 with --mlflow)"
    )
    whose = predict.add_mutually_exclusive_group()
    add_data(whose)
    whose.add_argument(
        "--contract",
        metavar="FILE",
        help="manifest.json or datapackage.json to read CSV by "
        "(default: models/manifest.json, then data/raw/datapackage.json)",
    )
    add_blank_is_level(predict)
    predict.set_defaults(run=_predict)


def _serve(chosen: argparse.Namespace) -> int:
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.scorer import ModelRefused
    from creditrisk.serving.http_server import serve
    from creditrisk.serving.token import NoToken

    if chosen.shadow and not chosen.decision_log:
        return failed("--shadow needs --decision-log: its probabilities are recorded there")
    try:
        serve(
            chosen.models,
            chosen.host,
            chosen.port,
            home=home_of(data_set_of(chosen)),
            hosts=tuple(chosen.allow_host),
            decision_log=chosen.decision_log,
            shadow=chosen.shadow,
            watch_seconds=chosen.watch,
        )
    except (ModelRefused, LogError, NoToken) as error:
        return failed(str(error))
    except OSError as error:
        where = f"{chosen.host}:{chosen.port}"
        return failed(f"cannot listen on {where} ({error}); choose with --host and --port")
    return 0


def _predict(chosen: argparse.Namespace) -> int:
    from creditrisk.serving.client.applications import Unreadable
    from creditrisk.serving.client.client import predict
    from creditrisk.serving.client.posting import FLASK, MLFLOW, NoAnswer
    from creditrisk.serving.token import NoToken, token_from_environment

    if chosen.recourse and chosen.mlflow:
        return failed("--recourse: MLflow's server has none; ask that of creditrisk serve")
    endpoint = MLFLOW if chosen.mlflow else FLASK
    url = chosen.url or f"http://127.0.0.1:{5000 if chosen.mlflow else 8000}"
    contract = chosen.contract or contract_file(chosen)
    try:
        return predict(
            chosen.file,
            url,
            endpoint,
            contract,
            token_from_environment(),
            chosen.reasons,
            chosen.recourse,
            chosen.blank_is_level,
        )
    except (Unreadable, NoAnswer, NoToken) as error:
        return failed(str(error))
