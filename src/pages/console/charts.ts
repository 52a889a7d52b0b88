import { html } from "hono/html";
import type { Markup } from "../page.ts";

/** One line of a chart: values by their place in time; undefined where nothing is known. */
export type Line = {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
  readonly isFilled?: boolean;
};

const [width, height, left, right, top, bottom] = [520, 160, 84, 8, 8, 24];
const classes = ["one", "two", "three"] as const;

/** Lines over time, drawn here: the browser needs no script. `unit` stands behind the numbers of the scale. */
export function lineChart(chart: {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly from: Date;
  readonly to: Date;
  readonly unit: string;
}): Markup {
  const { title, lines, from, to, unit } = chart;
  const most = niceAbove(
    Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0))),
  );
  const summary = lines
    .map(({ name, values }) => `${name}: ${shortNumber(lastOf(values))} ${unit}`)
    .join(", ");
  return html`<figure class="card">
    <b>${title}</b
    >${lines.length === 1 ? "" : lines.map(({ name }, at) => html`<span class="key ${classes[at] ?? "one"}"></span><span class="quiet">${name}</span>`)}
    <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}: ${summary}">
      ${[0, 0.5, 1].map((part) => scaleLine(part, `${shortNumber(most * part)} ${unit}`))}
      <text x="${left}" y="${height - 5}">${clockOf(from, to)}</text>
      <text x="${width - right}" y="${height - 5}" text-anchor="end">${clockOf(to, from)}</text>
      ${lines.map((line, at) => pathOf(line, most, classes[at] ?? "one"))}
    </svg>
  </figure>`;
}

function scaleLine(part: number, text: string): Markup {
  const y = yOf(part);
  return html`<path class="grid" d="M${left} ${y}H${width - right}" /><text
      x="${left - 5}"
      y="${y + 4}"
      text-anchor="end"
      >${text}</text
    >`;
}

function pathOf({ values, isFilled }: Line, most: number, name: string): Markup {
  const step = (width - left - right) / Math.max(1, values.length - 1);
  let path = "";
  let isDown = false;
  for (const [at, value] of values.entries()) {
    if (value === undefined) {
      isDown = false;
      continue;
    }
    path += `${isDown ? "L" : "M"}${(left + at * step).toFixed(1)} ${yOf(most === 0 ? 0 : value / most).toFixed(1)}`;
    // A point alone is seen as well.
    if (!isDown && values[at + 1] === undefined) path += "h1.5";
    isDown = true;
  }
  const area =
    isFilled === true && path !== "" && !values.includes(undefined)
      ? html`<path class="area" d="${path}L${width - right} ${yOf(0)}L${left} ${yOf(0)}Z" />`
      : "";
  return html`${area}<path class="line ${name}" d="${path}" />`;
}

function yOf(part: number): number {
  return top + (height - top - bottom) * (1 - Math.min(1, part));
}

/** The next of 1, 2, 5, 10, 20, …: a scale that can be read. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}

function lastOf(values: readonly (number | undefined)[]): number {
  return values.findLast((value) => value !== undefined) ?? 0;
}

/** A number as a scale writes it. */
export function shortNumber(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1000)}k`;
  if (value >= 10 || Number.isInteger(value)) return String(Math.round(value));
  return String(Number(value.toPrecision(2)));
}

/** Time of day within a day, else the date. UTC. */
function clockOf(at: Date, other: Date): string {
  const isOneDay = Math.abs(at.getTime() - other.getTime()) <= 86_400_000;
  const text = at.toISOString();
  return isOneDay ? `${text.slice(11, 16)} UTC` : text.slice(0, 10);
}
