import { columnTitles } from "./columns.ts";
import type { Column } from "./columns.ts";
import { measures } from "./readings.ts";
import type { Readings } from "./readings.ts";

/** Medians of all rounds, one column per target; in brackets the ratio to the base, where there is one. */
export function renderTable(readings: Readings, targets: readonly Column[], base?: Column): string {
  const rows = measures
    .filter(({ name }) => targets.some((target) => readings.median(target, name) !== undefined))
    .map((measure) =>
      [measure.title, targets.map((target) => cell(readings, measure, target, base))].flat(),
    );
  const against = base === undefined ? "" : ` (× ${columnTitles[base]})`;
  const head = [`medians${against}`, ...targets.map((target) => columnTitles[target])];
  return alignColumns([head, ...rows]);
}

function cell(
  readings: Readings,
  { name, digits, ratio }: (typeof measures)[number],
  target: Column,
  base: Column | undefined,
): string {
  const value = readings.median(target, name);
  if (value === undefined) return "–";
  const shown = value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  const isCompared = ratio && base !== undefined && target !== base;
  const times = isCompared ? readings.ratio(target, base, name) : undefined;
  return times === undefined ? shown : `${shown} (${times.toFixed(2)})`;
}

/** The first column to the left, all others to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((text, column) =>
          column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
        )
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
