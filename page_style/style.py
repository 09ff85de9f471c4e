"""The house style, one file for all pages."""

from pathlib import Path


def house_style() -> str:
    """The style sheet, light and dark, for the screen and for paper."""
    return Path(__file__).with_name("house.css").read_text("utf-8")
