"""The live latents of a linear autoencoder: formulas against chapter 12, and images."""

import ast

import in_process
import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu
from phase_utils.chapters.live import latents

STATE = pu.widgets.latents().state
PRICES = (0.02, 0.13, 0.4, 0.9, 1.3, 1.5)


def of_chapter(prices):
    """What chapter 12 says about these prices: squared columns, rates, loss."""
    (function,) = (
        node
        for node in ast.parse(in_process.source("12_collapse_vae")).body
        if isinstance(node, ast.FunctionDef) and node.name == "solution"
    )
    a, k = np.array([*STATE["a"], STATE["rest"]]), len(STATE["a"])
    names = {"np": np, "a": a, "k": k, "eta2": STATE["variance"]}
    exec(ast.unparse(function), names)
    kept, rates, distortion = names["solution"](np.array(prices) * STATE["variance"])
    return kept, rates.sum(1), distortion + prices * rates.sum(1)


def test_formulas_are_those_of_the_chapter(browser):
    with formulas_of(browser, "latents") as tab:
        answers = tab.evaluate(
            "([s, all]) => all.map((beta) => T.solved(s.a, s.rest, s.variance, beta))",
            [STATE, PRICES],
        )
    kept, rate, loss = of_chapter(PRICES)
    np.testing.assert_allclose([one["kept"] for one in answers], kept, atol=1e-12)
    np.testing.assert_allclose([one["rate"] for one in answers], rate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([one["loss"] for one in answers], loss, rtol=1e-9)
    live = [one["live"] for one in answers]
    assert live == np.sum(kept > 0, axis=1).tolist()
    assert live == sorted(live, reverse=True)
    assert {live[0], live[-1]} == {16, 0}


def test_images_are_those_of_the_best_linear_decoder(browser):
    x = pu.images("digits").x.flatten(1).double().numpy()
    average, shown_ = x.mean(axis=0), latents.rows_of(STATE)[-6:]
    a, axes = (part[..., ::-1] for part in np.linalg.eigh(np.cov((x - average).T, bias=True)))
    np.testing.assert_allclose(a[:16], STATE["a"], rtol=1e-9)
    for price in (0.1, 0.5, 1.35):
        tau = price * STATE["variance"]
        columns = axes[:, :16] * np.sqrt(np.maximum(a[:16] - tau, 0))
        # mean of the code: the posterior of the decoder, tau the variance of its noise
        code = np.linalg.solve(columns.T @ columns + tau * np.eye(16), columns.T)
        expected = average + (shown_ - average) @ code.T @ columns.T
        np.testing.assert_allclose(latents.rebuilt(STATE, price), expected, atol=0.02)
        with formulas_of(browser, "latents") as tab:
            drawn = tab.evaluate(
                """([s, beta]) => {
                  const [mean, ...all] = T.rows(s.pixels), axes = all.slice(0, s.a.length);
                  const { kept } = T.solved(s.a, s.rest, s.variance, beta);
                  return T.rebuilt({ mean, axes, codes: s.codes }, kept.map((q, i) => q / s.a[i]));
                }""",
                [STATE, price],
            )
        np.testing.assert_allclose(drawn, latents.rebuilt(STATE, price), atol=1e-9)


def test_latents_go_one_by_one(visit):
    tab = visit("latents", has_touch=True)

    def agrees(price):
        text = shown(tab)
        assert values(text, "β")[0] == pytest.approx(price, rel=1e-2)
        price = values(text, "β")[0]
        kept, rate, _ = of_chapter([price])
        live = int(np.sum(kept > 0))
        assert f"{live} of 16 latents" in text
        assert float(text.split("at the rate ")[1].split()[0].rstrip(".")) == pytest.approx(
            rate[0], rel=2e-3, abs=1e-9
        )
        if live:
            next_, size = STATE["a"][live - 1] / STATE["variance"], np.sqrt(kept[0][live - 1])
            assert values(text, "β")[1] == pytest.approx(next_, rel=1e-3)
            assert float(text.split("|U| is ")[1].split()[0]) == pytest.approx(size, rel=1e-2)
        assert ("One is left" in found(tab)) == (live == 1)

    agrees(STATE["price"])
    agrees(slide(tab, "price", *["PageUp"] * 20))
    for part in (0.55, 0.8, 0.95):
        box = tab.locator("rect.hit").nth(1).bounding_box()
        tab.touchscreen.tap(box["x"] + part * box["width"], box["y"] + 40)
        agrees(part * 1.15 * STATE["a"][0] / STATE["variance"])
    assert "the average" in shown(tab)
    box = tab.locator("rect.hit").first.bounding_box()
    tab.mouse.click(box["x"] + 50, box["y"] + 0.25 * box["height"])
    agrees(0.75 * 1.15 * STATE["a"][0] / STATE["variance"])
