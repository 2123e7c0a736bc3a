"""`docs/performance.md` in sections, each written by one benchmark and left alone by the others."""

from pathlib import Path

PAGE = Path("docs/performance.md")


def write_section(title: str, body: str, page: Path | None = None) -> None:
    """Write the section `# title`, in its old place or at the end."""
    page = page or PAGE
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    sections: dict[str, str] = {}
    for part in ("\n" + old).split("\n# ")[1:]:
        name, _, text = part.partition("\n")
        sections[name] = text.strip("\n")
    sections[title] = body.strip("\n")
    page.write_text("\n\n".join(f"# {name}\n\n{text}" for name, text in sections.items()) + "\n", encoding="utf-8")
