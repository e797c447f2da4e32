"""Laws of the generated reference: nothing that exists is missing from it, and its links lead somewhere."""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath

import pytest
import yaml

from robotkit.factory import make_workcell
from robotkit.registry import ALL
from servers.app import create_app
from servers.openapi import describe
from tests.docs.generators import api_pages, command_pages, device_pages, protocol_page
from tests.end_to_end.runs import ROOT

DOCS = ROOT / "docs"
PACKAGES = ("robotkit", "servers", "sims", "envs", "rl")


@pytest.fixture(scope="module")
def commands() -> dict[str, str]:
    return command_pages.pages(ROOT)


@pytest.fixture(scope="module")
def generated(commands: dict[str, str]) -> dict[str, str]:
    others = (device_pages.pages(), protocol_page.pages(), api_pages.pages(ROOT))
    return commands | {path: text for pages in others for path, text in pages.items()}


def test_every_option_of_every_command_has_a_row_of_its_own_or_a_link(commands: dict[str, str]):
    for command in command_pages.all_commands(ROOT):
        page = commands[f"reference/commands/{command.file}"]
        printed = set(re.findall(r"^│ (--[\w.-]+)", command.help, re.MULTILINE)) - {"--help"}
        shown = set(re.findall(r"^\| <code>(--[\w.-]+)", page, re.MULTILINE))
        for file, anchor in re.findall(r"\]\(([\w.-]+)#([\w-]+)\)", page):
            section = commands[f"reference/commands/{file}"].partition(f"{{#{anchor}}}")[2].partition("\n## ")[0]
            shown |= set(re.findall(r"<code>(--[\w.-]+)", section))
        # What is on or off is printed on one line or on two: `--resume, --no-resume`.
        missing = {option for option in printed - shown if ".no-" not in option and "--no-" not in option}
        assert not missing, command.line


def test_a_help_text_is_read_box_by_box():
    text = (
        "usage: tool run [-h] [OPTIONS] {a,b}\n\nRuns.\n\n"
        "╭─ options ───────────────────────╮\n"
        "│ -h, --help  show this help      │\n"
        "│ --speed FLOAT                   │\n"
        "│             How fast,           │\n"
        "│             in m/s.             │\n"
        "│ --long-name,                    │\n"
        "│ --no-long-name                  │\n"
        "│             Or not.             │\n"
        "╰─────────────────────────────────╯\n"
        "╭─ net options ───────────────────╮\n"
        "│ What the net is.                │\n"
        "│ ─────────────────────────────── │\n"
        "│ --net.width INT  Units.         │\n"
        "╰─────────────────────────────────╯\n"
    )
    options, net = command_pages.boxes(text)
    assert [(one.written, one.about.strip()) for one in options.options] == [
        ("-h, --help", "show this help"),
        ("--speed FLOAT", "How fast, in m/s."),
        ("--long-name, --no-long-name", "Or not."),
    ]
    assert (net.lead, net.options[0].written, net.options[0].about) == ("What the net is.", "--net.width INT", "Units.")
    assert command_pages.subcommands(text) == ["a", "b"]


def test_a_help_text_may_list_its_commands_line_by_line():
    text = "usage: tool COMMAND\n\nRecord:\n  record demos    of a person\n  check           a file\n\nExit status: 0\n"
    assert command_pages.subcommands(text) == ["record demos", "check"]
    assert command_pages.subcommands("usage: tool check [OPTIONS]\n\nHow:\n  --speed INT  Or not\n") == []


def test_other_agents_options_are_shown_beside_those_of_the_first():
    def text(option: str) -> str:
        agent = f"╭─ agent options ─╮\n│ --agent.{option} INT  Units.\n╰──╯\n"
        return f"usage: train\n\nTrains.\n\n{agent}╭─ run options ─╮\n│ --out PATH  Where.\n╰──╯\n"

    command = command_pages.Command("tool", ("train",), text("width"), (("sac", text("width")), ("drq", text("depth"))))
    page = command_pages._page(command, {})
    assert re.findall(r"^## (.*) {", page, re.MULTILINE) == ["agent options", "run options", "agent options of drq"]
    assert "--agent.depth" in page


def test_every_route_and_message_of_the_server_is_on_the_page():
    page = protocol_page.pages()["reference/wire_protocol.md"]
    document = describe(create_app(make_workcell("fake")))
    for path, methods in document["paths"].items():
        assert all(f"| `{method.upper()} {path}` |" in page for method in methods)
    assert all(f"### {name}\n" in page for name in document["components"]["schemas"])
    assert all(f"`{name}`" in page for name in ("/v1/stream", "/v1/steps", "X-Robotkit-Deadline", "StreamCommand"))


def test_every_device_is_on_the_page_with_its_options():
    page = device_pages.pages()["reference/workcell_file.md"]
    for registry in ALL:
        assert all(f"### {registry.kind} `{name}`\n" in page for name in registry.names())
    assert "| `max_force_n` |" in page
    assert "| `joint_relative_dynamics` |" in page


def test_every_module_is_documented_once():
    found = [
        name for page in api_pages.pages(ROOT).values() for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    ]
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if not file.stem.startswith("__")]
    assert sorted(found) == sorted(".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)


def test_links_of_generated_pages_lead_somewhere(generated: dict[str, str]):
    copied = {f"{name.lower()}.md": (ROOT / f"{name}.md").read_text() for name in ("CHANGELOG", "CONTRIBUTING")}
    for path, text in (generated | copied).items():
        for target in re.findall(r"\]\(([\w./-]+\.md)", text):
            page = normpath(join(dirname(path), target))
            assert page in generated or (DOCS / page).exists(), (path, target)
        for anchor in re.findall(r"\]\(#([\w-]+)\)", text):
            assert re.search(rf"^#+ {anchor}$", text, re.MULTILINE | re.IGNORECASE), (path, anchor)


def test_no_page_needs_a_script_of_another_host():
    """Diagrams in mermaid are drawn by a script that the site would load from elsewhere."""
    assert not [file for file in DOCS.rglob("*.md") if "```mermaid" in file.read_text(encoding="utf-8")]


def test_every_page_is_in_the_navigation():
    nav = re.findall(r"[\w/]+\.md", yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md")}
    copied = {"changelog.md", "contributing.md"}
    assert written <= set(nav)
    assert {page for page in nav if not page.startswith("reference/")} == written | copied
