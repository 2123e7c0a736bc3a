"""Colours and the static page's style: the Okabe-Ito palette, which colour-blind people can tell apart."""

BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, "#56B4E9")
RIGHT, WRONG, JUNK = GREEN, VERMILION, "#8A8F98"

CSS = """\
:root { color-scheme: light dark; --ink: #1b2430; --dim: #5b6673; --line: #d9dee5; --paper: #fff; --mark: #0072B2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --dim: #9aa5b3; --line: #323b47; --paper: #12171e; --mark: #56B4E9 } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1.5rem }
h1 { font-size: 1.6rem; margin: 0 0 1.5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
section > div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th { font-weight: 600; text-align: left; border-bottom: 2px solid var(--line); color: var(--dim) }
th, td { padding: .35rem .8rem .35rem 0 } td { border-bottom: 1px solid var(--line) }
td:last-child { white-space: normal; min-width: 12rem }
.n { text-align: right } .best { font-weight: 700; color: var(--mark) } .second { text-decoration: underline }
p, footer { color: var(--dim); font-size: .85rem; margin: .5rem 0 } footer { margin-top: 3rem }
"""
