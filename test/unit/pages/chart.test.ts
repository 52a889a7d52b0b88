import { expect, test } from "bun:test";
import { csvLine } from "#src/pages/activity-csv.ts";
import { barChart } from "#src/pages/chart.ts";
import { installLinks } from "#src/pages/client-configuration.ts";

const size = { width: 100, height: 41, title: "two days" };

async function rectangles(bars: Parameters<typeof barChart>[0]["bars"]) {
  const svg = String(await barChart({ ...size, bars }));
  const found = [
    ...svg.matchAll(
      /<rect\s+class="(\w+)"\s+x="([\d.]+)"\s+y="([\d.]+)"\s+width="([\d.]+)"\s+height="([\d.]+)"/g,
    ),
  ];
  return found.map(([, kind, ...numbers]) => [kind, numbers.map(Number)].flat());
}

test("bars stand on the ground, the highest as high as the chart, and refused calls on top", async () => {
  expect(await rectangles([{ value: 30, extra: 10 }, { value: 20 }])).toEqual([
    ["extra", 0, 1, 37.5, 10],
    ["value", 0, 11, 37.5, 30],
    ["value", 50, 21, 37.5, 20],
  ]);
});

test("a day without calls is a line, and one call beside a million can be seen", async () => {
  const [nothing, few] = await rectangles([{ value: 0 }, { value: 1 }, { value: 1_000_000 }]);
  expect(nothing).toEqual(["none", 0, 40, 25, 1]);
  expect(few?.at(-1)).toBe(2);
  expect(await rectangles([])).toEqual([]);
});

test("what a chart and its bars are called is escaped, and nothing of it is a style or a script", async () => {
  const title = `</title><script>"'&`;
  const svg = String(await barChart({ ...size, title, bars: [{ value: 1, title }] }));
  expect(svg).toContain('role="img"');
  expect(svg).not.toContain("<script>");
  expect(svg.match(/&lt;script&gt;/g)).toHaveLength(2);
  expect(svg).not.toMatch(/style=|\son\w+=/);
});

test.each([
  ["plain", "plain"],
  ["=1+1", "'=1+1"],
  ["+1", "'+1"],
  ["-1", "'-1"],
  ["@SUM(A1)", "'@SUM(A1)"],
  ["\t=1", `"'\t=1"`],
  ["a;=1", `"a;'=1"`],
  ["a,b", '"a,b"'],
  ['say "=1"', '"say ""=1"""'],
  ["two\r\nlines", '"two\r\nlines"'],
  ["a-b", "a-b"],
])("the cell %j stands in a line of CSV as %j", (cell, expected) => {
  expect(csvLine([cell])).toBe(`${expected}\r\n`);
});

test("numbers and what is not there need no quotes", () => {
  expect(csvLine([200, null, undefined, -1])).toBe("200,,,-1\r\n");
});

test("a link that adds an MCP server to a client has its name and address in it", () => {
  const target = { name: "shop", url: "https://gateway.example/mcp/shop" };
  const [code, cursor] = installLinks(target).map(({ href }) => href);
  const given: unknown = JSON.parse(
    decodeURIComponent((code ?? "").replace("vscode:mcp/install?", "")),
  );
  expect(given).toEqual({ ...target, type: "http" });
  const query = new URL(cursor ?? "").searchParams;
  expect(query.get("name")).toBe("shop");
  const config: unknown = JSON.parse(Buffer.from(query.get("config") ?? "", "base64").toString());
  expect(config).toEqual({ url: target.url });
});
