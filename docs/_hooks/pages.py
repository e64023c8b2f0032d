"""Pages of the site that are made from the code when it is built: nobody keeps them by hand.

mkdocs calls `on_config` and `on_files`; everything else makes Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from justright.cli.app import app
from justright.cli.explain import manual_page
from justright.core.bibliography import BIBLIOGRAPHY, Reference, cited
from justright.diagnostics.base import DIAGNOSTICS, Diagnostic
from justright.testing.zoo import sick

ROOT = Path(__file__).parents[2]

MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
}
"""Files of the repository that are pages too, under their names on the site."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the page of every diagnostic in the navigation."""
    pages = [{f"{entry.code} {entry.name}": path_of(entry)} for entry in DIAGNOSTICS.values()]
    for section in config.nav or []:
        if isinstance(section, dict) and "Diagnostics" in section:
            section["Diagnostics"] = ["diagnostics/index.md", *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Return every generated page by its path in the site."""
    found = {path_of(entry): diagnostic_page(entry) for entry in DIAGNOSTICS.values()}
    found |= {"diagnostics/index.md": catalogue(), "references.md": bibliography(), "commands.md": commands()}
    return found | {page: repository_page(name) for name, page in MOVED.items()}


def path_of(entry: Diagnostic) -> str:
    """Return the path of a diagnostic's page."""
    return f"diagnostics/{entry.code}.md"


def diagnostic_page(entry: Diagnostic) -> str:
    """Return the manual page, word for word, with its references resolved and the networks that show it."""
    keys = sorted(cited(entry.page), key=entry.page.index)
    works = [f"* [{key}] {_work(BIBLIOGRAPHY[key])}" for key in keys]
    links = [f"[{key}]: ../references.md#{key.lower()}" for key in keys]
    return "\n".join([manual_page(entry), *works, "", *_networks(entry), *links, ""])


def _networks(entry: Diagnostic) -> Iterator[str]:
    yield "## Networks that show it"
    yield ""
    rows = [f"| `{network.name}` | {network.note} |" for network in sick(entry.code)]
    if rows:
        yield from (
            "Networks of [the zoo](../zoo.md) with this fault:",
            "",
            "| network | what it is |",
            "|---|---|",
            *rows,
        )
    else:
        yield "No network of [the zoo](../zoo.md) has this fault alone."
    yield ""


def catalogue() -> str:
    """Return the index of all diagnostics."""
    lines = [
        "# Diagnostics",
        "",
        "What `justright check` looks for. `justright explain CODE` prints the same pages.",
        "",
    ]
    lines += ["| code | name | what it says |", "|---|---|---|"]
    for entry in DIAGNOSTICS.values():
        lines.append(f"| [{entry.code}]({entry.code}.md) | [{entry.name}]({entry.code}.md) | {entry.summary} |")
    return "\n".join([*lines, ""])


def bibliography() -> str:
    """Return every work that a page cites, each with an anchor of its key in lower case."""
    lines = ["# References", "", "The works that the manual pages and the source cite.", ""]
    for key, work in sorted(BIBLIOGRAPHY.items()):
        lines += [f"## {key}", "", _work(work), ""]
        users = [entry for entry in DIAGNOSTICS.values() if key in cited(entry.page)]
        if users:
            lines += ["Cited by " + ", ".join(f"[{each.code}]({path_of(each)})" for each in users) + ".", ""]
    return "\n".join(lines)


def _work(work: Reference) -> str:
    return f"{work.authors}: *{work.title}*. {work.venue} {work.year}. {_link(work.link)}"


def _link(link: str) -> str:
    """Turn where to find a work into a link, as far as there is one."""
    kind, _, number = link.partition(" ")
    roots = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
    if kind in roots:
        return f"[{link}]({roots[kind]}{number})"
    return f"<{link}>" if link.startswith("https://") else link


def commands() -> str:
    """Return the reference of the command line, read from the commands themselves."""
    group: Any = get_command(app)
    lines = ["# Commands", "", group.help, ""]
    for name, command in group.commands.items():
        lines += _command(f"justright {name}", command)
    return "\n".join(lines)


def _command(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    named = [each for each in command.params if each.param_type_name == "option"]
    yield f"## {name}"
    yield ""
    yield f"```\n{' '.join([name, '[OPTIONS]', *(_argument(each) for each in arguments)])}\n```"
    yield ""
    yield command.help
    yield ""
    for each in arguments:
        yield f"`{_argument(each)}`\n:   {each.help}\n"
    yield "| option | what it does |"
    yield "|---|---|"
    for each in named:
        yield f"| {_option(each)} | {_cell(each.help or '')}{_default(each)} |"
    yield ""


def _argument(argument: Any) -> str:  # noqa: ANN401
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:  # noqa: ANN401
    value = "" if option.is_flag else f" {_cell(option.metavar)}"
    return ", ".join(f"`{each}{value}`" for each in sorted(option.opts, key=len, reverse=True))


def _default(option: Any) -> str:  # noqa: ANN401
    default = option.default
    if default is None or option.is_flag or callable(default):
        return ""
    return f" Default: `{getattr(default, 'value', default)}`."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def repository_page(name: str) -> str:
    """Return a file of the repository as a page, its links leading to the pages of the site."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name == "LICENSE":
        return f"# License\n\n```text\n{text}\n```\n"
    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", lambda match: _moved(match, MOVED), text)


def _moved(match: re.Match[str], moved: Mapping[str, str]) -> str:
    path = moved.get(match[1], match[1].removeprefix("docs/"))
    return f"]({path}{match[2] or ''})"
