"""The server's own installation beside the whole project's: packages, size, start, memory.

    uv run python benchmarks/lean_server.py --models models

Both are installed anew from the versions in requirements.txt, into environments of their own, and
serve the same model. They start by turns, round after round; shown are medians. The exit code is 1
if the two answer differently.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from creditrisk.data.applications.examples import applications
from creditrisk.data.descriptor import parse_contract

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "packaging/credit-risk-serve"
UV = os.environ.get("UV") or shutil.which("uv") or "uv"


def uv(*arguments: str | Path) -> str:
    """What uv writes on standard output."""
    ran = subprocess.run([UV, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout


def install(place: Path, *what: str | Path) -> Path:
    """A new environment with these and nothing else; its ``creditrisk``."""
    uv("venv", "-q", "--python", sys.executable, place)
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv("pip", "install", "-q", "--compile-bytecode", "--python", python, *what)
    return python.with_name("creditrisk")


def packages(place: Path) -> int:
    """How many packages an environment holds, ours included."""
    return len(json.loads(uv("pip", "list", "-q", "--format", "json", "--python", place)))


def megabytes(place: Path) -> float:
    """The size of all files of an environment."""
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6


def serve(program: Path, models: Path) -> tuple[dict[str, float], Any]:
    """Start a server and ask it; what it took to listen, its memory then, and the answer."""
    began = time.monotonic()
    command = [str(program), "serve", "--models", str(models), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=program.parent, env=environment
    ) as server:
        try:
            assert server.stderr
            url = next(
                line["url"]
                for line in map(json.loads, server.stderr)
                if line["event"] == "listening"
            )
            seconds, process = time.monotonic() - began, psutil.Process(server.pid)
            used = process.cpu_times()
            figures = {"seconds": seconds, "processor": used.user + used.system}
            answer = ask(url, models)
            figures["megabytes"] = process.memory_info().rss / 1e6
            return figures, answer
        finally:
            server.terminate()


def ask(url: str, models: Path) -> Any:
    """The decisions on the example applicants, without what differs each time."""
    manifest = json.loads((models / "manifest.json").read_text("utf-8"))
    question = urllib.request.Request(
        f"{url}/predict?reasons=true",
        json.dumps(applications(parse_contract(manifest["contract"]))).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(question, timeout=60) as answered:
        answers = json.load(answered)
    own = "id", "request_id"
    return [{key: each[key] for key in each if key not in own} for each in answers]


def main() -> int:
    """Install, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", type=Path, default=ROOT / "models", help="a folder with a model"
    )
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    models, pins = chosen.models.resolve(), ROOT / "requirements.txt"
    with tempfile.TemporaryDirectory() as base:
        uv("build", "-q", "--wheel", "-o", Path(base, "dist"), SERVER)
        (wheel,) = Path(base, "dist").glob("*.whl")
        places = {"whole": Path(base, "whole"), "lean": Path(base, "lean")}
        programs = {
            "whole": install(places["whole"], "-r", pins, ROOT),
            "lean": install(places["lean"], "-c", pins, wheel),
        }
        for name, place in places.items():
            print(f"{name}: {packages(place)} packages, {megabytes(place):,.0f} MB on disk")
        found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        answers = []
        for number in range(chosen.rounds + 1):
            for name, program in programs.items():
                figures, answer = serve(program, models)
                answers.append(answer)
                if number:  # the first start reads the files from the disk
                    found[name].append(figures)
        for figure in ("seconds", "processor", "megabytes"):
            middle = {
                name: statistics.median(each[figure] for each in rounds)
                for name, rounds in found.items()
            }
            ratio = middle["lean"] / middle["whole"]
            words = ", ".join(f"{name} {value:.2f}" for name, value in middle.items())
            print(f"{figure}: {words}, ratio {ratio:.2f}")
    same = all(answer == answers[0] for answer in answers)
    print("all answers are the same" if same else "THE ANSWERS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
