"""The verdict on each row of the panel and its tables, from the recorded rows alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from report import seconds

from networks.case import REGISTRY, SEEDS

NEAR = 0.01  # relative distance from a closed form that counts as right
NEAR_NOISY = 0.05  # the same for a model with noise, whose answer is a mean over draws


def verdict(row: Mapping[str, Any]) -> str:
    """What the truth says of the prediction: "right", "true bound" or a miss, named."""
    if "error" in row:
        return "refused"
    if "truth" in row:
        if row.get("checked") is False:
            return "truth unsettled"
        if math.isinf(row["truth"]) or row["truth"] == 0:
            same = (row["predicted"], row["predicted order"]) == (row["truth"], row["order"])
            return "right" if same else "wrong"
        ratio = row["predicted"] / row["truth"]
        near = NEAR if row["noise"] is None else NEAR_NOISY
        if abs(ratio - 1) <= near:
            return "right"
        return "too high" if ratio > 1 else "too low"
    if "low" not in row:
        return "wrong"
    if row["low"] > 1:
        return "too low"
    if not row["certified"]:
        return "too high"
    return "right" if row["low"] >= 0.98 and row["complete"] else "true bound"


def order_of(row: Mapping[str, Any]) -> str:
    """Whether the order is right: "yes", "no", or "-" where training did not show it."""
    if row.get("order", "") in ("", "undecided"):
        return "-"
    return "yes" if row["order"] == row["predicted order"] else "no"


# ---------------------------------------------------------------- tables


COLUMNS = [
    "network", "weights", "predicted", "truth, or between", "order predicted", "order seen",
    "verdict", "CPU", "starts that hit",
]  # fmt: skip


def shown(value: float) -> str:
    """Four digits, or a word for what has no end."""
    return "no end" if math.isinf(value) else f"{value:.4g}"


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    if "error" in row:
        return [row["what"], "-", "-", "-", "-", "-", f"refused: {row['error']}", "-", "-"]
    if "truth" in row:
        truth = f"{shown(row['truth'])} ({row['why']})"
    elif "low" in row:
        at = [shown(row["predicted"] * row[k]) for k in ("low", "high")]
        truth = f"{at[0]} and {at[1]} (training)"
    else:
        truth = "-"
    predicted = shown(row["predicted"])
    if row["noise"] is not None:
        predicted += f" ± {row['noise']:.1g}"
    hits = ", ".join(f"{kind} {n}/{m}" for kind, (n, m) in row["hits"].items())
    return [
        row["what"], f"{row['weights']:,}", predicted, truth, row["predicted order"],
        row.get("order") or "-", row["verdict"], seconds(row["cpu"]), hits,
    ]  # fmt: skip


def summary(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Counts of verdicts and orders, by set."""
    sets = [k for k in SEEDS if any(r["set"] == k for r in rows)]
    lines = []
    for name in sorted({r["verdict"] for r in rows}, key=lambda v: (v != "right", v)):
        counts = [sum(r["set"] == k and r["verdict"] == name for r in rows) for k in sets]
        lines.append([name, *map(str, counts)])
    for label, value in (("order right", "yes"), ("order wrong", "no"), ("order not shown", "-")):
        lines.append([label, *(str(sum(r["set"] == k and order_of(r) == value for r in rows))
                               for k in sets)])  # fmt: skip
    lines.append(
        [f"measured, of {len(REGISTRY)}", *(str(sum(r["set"] == k for r in rows)) for k in sets)]
    )
    return lines


def tables(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Captions, columns and cells of all tables, from the rows alone."""
    sets = [k for k in SEEDS if any(r["set"] == k for r in rows)]
    made = [("How many", ["networks", *(f"{k} set" for k in sets)], summary(rows))]
    made += [(f"The {k} set", COLUMNS, [cells(r) for r in rows if r["set"] == k]) for k in sets]
    return made
