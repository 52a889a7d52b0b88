import { html } from "hono/html";
import type { Markup } from "./page.ts";

type Bar = {
  readonly value: number;
  /** Stands on top of `value`, in another colour. */
  readonly extra?: number;
  /** What a mouse that rests on the bar is told. */
  readonly title?: string;
};

/** Of a slot; the rest is the gap to the next bar. */
const barPart = 0.75;
/** What is not nothing can be seen. */
const [lowest, base] = [2, 1];

/** Bars beside each other, drawn here as SVG; `title` says the same in words for whoever does not see them. */
export function barChart(chart: {
  readonly bars: readonly Bar[];
  readonly title: string;
  readonly width: number;
  readonly height: number;
}): Markup {
  const { bars, title, width, height } = chart;
  const slot = width / Math.max(bars.length, 1);
  const most = Math.max(1, ...bars.map(({ value, extra = 0 }) => value + extra));
  return html`<svg
    class="chart"
    role="img"
    width="${width}"
    height="${height}"
    viewBox="0 0 ${width} ${height}"
  >
    <title>${title}</title>
    ${bars.map((bar, index) => column(bar, { x: index * slot, width: slot * barPart, height, scale: (height - base) / most }))}
  </svg>`;
}

type Place = {
  readonly x: number;
  readonly width: number;
  readonly height: number;
  readonly scale: number;
};

/** A bar with its extra part; where there is nothing, a line at the bottom. */
function column({ value, extra = 0, title }: Bar, place: Place): Markup {
  const { height, scale } = place;
  const heightOf = (count: number) => (count <= 0 ? 0 : Math.max(lowest, count * scale));
  const all = heightOf(value + extra);
  const top = extra <= 0 ? 0 : Math.min(all, heightOf(extra));
  const parts = [
    { className: "none", y: height - base, tall: base },
    { className: "extra", y: height - all, tall: top },
    { className: "value", y: height - all + top, tall: all - top },
  ].filter(({ className, tall }) => tall > 0 && (className !== "none" || all === 0));
  return html`<g
    >${title === undefined ? "" : html`<title>${title}</title>`}${parts.map((part) => rectangle(part, place))}</g
  >`;
}

function rectangle(
  part: { readonly className: string; readonly y: number; readonly tall: number },
  { x, width }: Place,
): Markup {
  return html`<rect
    class="${part.className}"
    x="${rounded(x)}"
    y="${rounded(part.y)}"
    width="${rounded(width)}"
    height="${rounded(part.tall)}"
  />`;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
