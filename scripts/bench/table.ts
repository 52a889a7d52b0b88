import { measures } from "./readings.ts";
import type { Readings } from "./readings.ts";
import { titles } from "./targets.ts";
import type { TargetName } from "./targets.ts";

/** Medians of all rounds, one column per target; in brackets the ratio to the base. */
export function renderTable(
  readings: Readings,
  targets: readonly TargetName[],
  base: TargetName,
): string {
  const rows = measures
    .filter(({ name }) => targets.some((target) => readings.median(target, name) !== undefined))
    .map((measure) =>
      [measure.title, targets.map((target) => cell(readings, measure, target, base))].flat(),
    );
  const head = [`medians (× ${titles[base]})`, ...targets.map((target) => titles[target])];
  return alignColumns([head, ...rows]);
}

function cell(
  readings: Readings,
  { name, digits, ratio }: (typeof measures)[number],
  target: TargetName,
  base: TargetName,
): string {
  const value = readings.median(target, name);
  if (value === undefined) return "–";
  const shown = value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  const times = ratio && target !== base ? readings.ratio(target, base, name) : undefined;
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
