// What the page is told, and what the shadow root of a figure holds: the page's rules for its
// own lists and cells end there, and cost nothing while a figure is moved.
export const OUTER = `
.live { --learned: #0072b2; --top: #d55e00; --jump: #00805d; margin: 1rem 0; text-align: start;
 --paper: var(--pst-color-background, var(--jp-layout-color0, Canvas)); font-size: 0.9rem; }
:is(html[data-theme="dark"], [data-jp-theme-light="false"]) .live { --learned: #56b4e9;
 --top: #ff8f4d; --jump: #2fd0a0; }
@media screen { .pu-live[data-ready] > .pu-live-static { display: none; } }
@media print { .pu-live[data-ready] > .live { display: none; } }`;

export const CSS = `
:host { display: block; }
.draw { display: block; width: 100%; height: auto; font-size: 13px; user-select: none;
 -webkit-user-select: none; -webkit-touch-callout: none; touch-action: pan-y; }
svg * { pointer-events: none; }
text { fill: currentColor; stroke: var(--paper); stroke-width: 3px;
 stroke-linejoin: round; paint-order: stroke; }
.i { font-family: "STIX Two Math", Cambria, serif; font-style: italic; font-size: 1.1em; }
path, line { fill: none; stroke: currentColor; stroke-width: 1; }
.grid { stroke-opacity: 0.13; }
.thin { stroke-dasharray: 5 4; stroke-opacity: 0.75; }
.curve { stroke-width: 2.4; stroke: var(--learned); }
.mark { stroke-width: 2; }
.trail { stroke-width: 5; stroke-opacity: 0.6; stroke-linecap: round; }
.unstable { stroke: var(--top); stroke-dasharray: 7 4; stroke-width: 2; }
.jump { stroke: var(--jump); }
.spinodal { stroke: var(--top); }
text.jump { fill: var(--jump); stroke: var(--paper); }
text.spinodal { fill: var(--top); stroke: var(--paper); }
text.bare { stroke: none; }
.tint, .tint2, .tint3 { fill: var(--learned); fill-opacity: 0.3; stroke: none; }
.tint2 { fill-opacity: 0.12; }
.tint3 { fill: currentColor; fill-opacity: 0.07; }
.lobe { fill: var(--top); fill-opacity: 0.3; stroke: none; }
circle { stroke-width: 2.2; fill: var(--paper); stroke: var(--learned); }
circle.full { fill: var(--learned); }
circle.top { stroke: var(--top); }
circle.handle { fill: currentColor; stroke: var(--paper); }
p { margin: 0.6rem 0; min-height: 3.1em; line-height: 1.5; }
.ask { font-size: 1.05em; }
.ask b { color: var(--jump); }
.row { display: grid; grid-template-columns: 7.6rem auto minmax(0, 1fr) 4.2rem; column-gap: 0.7rem;
 align-items: center; min-height: 2rem; line-height: 1.2; }
label { display: contents; }
.row > * { grid-row: 1; }
.pick { grid-column: 2; display: flex; }
.pick label { position: relative; display: grid; place-items: center; min-width: 2.1rem; height: 1.7rem;
 border: 1px solid; margin-right: -1px; cursor: pointer; }
.pick input { position: absolute; inset: 0; opacity: 0; height: 100%; cursor: inherit; }
.pick span { display: grid; place-items: center; width: 100%; height: 100%; }
.pick :checked + span { font-weight: bold; box-shadow: inset 0 -4px var(--learned); }
.pick label:focus-within { outline: 3px solid var(--learned); outline-offset: 2px; }
[type="range"] { grid-column: 2 / 4; }
.pick ~ label [type="range"] { grid-column: 3; }
input { accent-color: var(--learned); width: 100%; margin: 0; height: 1.6rem; }
output { grid-column: 4; text-align: right; font-variant-numeric: tabular-nums; }
output.at { font-weight: bold; color: var(--jump); }
button { font: inherit; color: inherit; background: none; border: 1px solid;
 border-radius: 0.3rem; padding: 0.25rem 0.8rem; margin: 0.5rem 0.6rem 0 0; cursor: pointer; }
button:disabled { opacity: 0.45; cursor: auto; }
summary { width: max-content; cursor: pointer; line-height: 2rem; }
:is(button, summary, [type="range"]):focus-visible { outline: 3px solid var(--learned);
 outline-offset: 2px; }
@media (max-width: 600px), (pointer: coarse) { .row, input, .pick label, button, summary {
 min-height: 44px; min-width: 44px; } summary { line-height: 44px; } }
@media (max-width: 600px) { p { min-height: 6.1em; }
 .hold { position: sticky; bottom: 0; background: var(--paper);
 box-shadow: 0 -0.7rem 0.5rem -0.5rem var(--paper); }
 .row { grid-template-columns: 5.8rem auto minmax(0, 1fr) 3.9rem; }
 .pick { grid-column: 2 / 5; } .pick ~ label :is(input, output) { grid-row: 2; }
 .pick ~ label [type="range"] { grid-column: 1 / 4; } }
@media print { .hold, .below { display: none; } }`;
