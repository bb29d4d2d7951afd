"""A chapter of a few cells with everything that the runner and the export must cope with."""

from pathlib import Path

SOURCE = r"""---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

(sec-demo)=
# A demo of *everything*

% a comment of MyST
<!-- a comment
of HTML -->
In {ref}`sec-demo` the bound {eq}`eq-01-bound` holds, by {prf:ref}`thm-01-square` and
[](#thm-01-square), see {numref}`fig-01-line`, {cite}`someone2020` and {eq}`eq-02-closed-form`.
Inline code `{eq}` stays, and so does $x^{`}$; {sub}`low`.

```{math}
:label: eq-01-bound
a &= b \\
c &\le d
```

::::{prf:theorem} Squares
:label: thm-01-square

A square is never negative:

:::{math}
:label: eq-01-square
x^2 \ge 0
:::
::::

````{prf:proof}
From {eq}`eq-01-square`.
```python
nothing = 1


lines = 2
```
````

:::{note} Nothing else.
:::

:::{dropdown} More
Hidden words.
:::

:::{admonition} Careful
:class: dropdown
Hidden care.
:::

$$
e = m
$$ (eq-01-last)

## Parameters

```{code-cell} ipython3
:tags: [parameters]

data: str = "teacher"  # data set; choices teacher|diabetes|path
target: str = ""  # target column
seed: int = 0  # seed of the random numbers; range 0..1000
device: str = "auto"  # device; choices auto|cpu|cuda
tier: str = "book"  # size of the run; choices smoke|book|paper
n: int = 3  # number of points; unit count; range 1..64
scale: float = 1.0  # scale of the points; range 0..10
depths: list = [0, 1]  # depths; range 0..8
mode: str = "good"  # what the run is to do; choices good|fails|dies|wrong|leaves|sleeps
```

```{code-cell} ipython3
:tags: [nbval-check-output]

import sys
import time
import warnings
from pathlib import Path

from IPython.display import display

values = [scale * k for k in range(n)]
print(f"sum {sum(values):.3f} of {n} at tier {tier}, depths {depths}")
```

```{code-cell} ipython3
:tags: [hide-input]

from myst_nb import glue

glue("total", sum(values), display=False)
glue("verdict", f"It is {sum(values):.1f}.", display=False)
```

The total is {glue:text}`total:.2f`, {glue:}`total`. {glue:text}`verdict` But {glue:text}`absent`.

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-01-line
    caption: A line with {glue:text}`total:.1f`, see {eq}`eq-01-square`.
  image:
    alt: A "straight" line
tags: [nbval-check-output]
---


class Line:
    def _repr_svg_(self):
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20">'
            f'<path d="M0 0L90 {n}" stroke="black"/></svg>'
        )

    def __repr__(self):
        return "a line"


display(Line())
```

```{code-cell} ipython3
import os

if os.environ.get("PHASE_BOOK_KEEPING") == "1":
    import phase_utils as pu

    pu.records.keep("all", values=values)
```

```{code-cell} ipython3
claim = {"application/vnd.phase-claims+json": {"id": "Eq-1", "state": "pass", "measured": 1.0}}
display({**claim, "text/plain": "Eq-1 pass"}, raw=True)
state = {"wrong": "fail", "leaves": "not applicable"}.get(mode, "pass")
claim = {"application/vnd.phase-claims+json": {"id": "Th-2", "state": state}}
display({**claim, "text/plain": f"Th-2 {state}", "text/html": f"<b>Th-2</b> {state}"}, raw=True)
```

```{code-cell} ipython3
print("interpreter", sys.executable, "in", Path.cwd())
warnings.warn("look at this", stacklevel=1)
if mode == "sleeps":
    Path("asleep").touch()
    time.sleep(60)
if mode == "dies":
    import os

    os._exit(1)
if mode == "fails":
    import json

    json.loads("not json")
print("after")
```

:::{exercise}
:label: ex-01-more
How much is more?
:::

:::{solution} ex-01-more
:class: dropdown
It is {glue:text}`total:.0f`.
:::
"""

TIERS = """
[01_demo.smoke]
n = 2
scale = 0.5

[01_demo.paper]
n = 64
"""


def write(folder: Path, source: str = SOURCE, tiers: str = TIERS) -> Path:
    """Write the demo chapter and its tiers to `folder`, and return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "01_demo.md").write_text(source)
    (folder / "tiers.toml").write_text(tiers)
    return folder
