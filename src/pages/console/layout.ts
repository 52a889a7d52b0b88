import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Brand } from "#src/config/brand.ts";
import type { Language } from "#src/http/language.ts";
import type { Operator } from "#src/people/operators.ts";
import { plain } from "#src/telemetry/redact.ts";
import type { Markup } from "../page.ts";
import { type ConsoleWord, told } from "./words.ts";

/** Who looks, and in which language. */
export type View = {
  readonly language: Language;
  readonly operator: Operator;
  /** Whether the edge extension is on, which has a room of its own. */
  readonly hasPeers: boolean;
  readonly brand: Brand;
  /** When it looks. */
  readonly now: Date;
  /** What was pressed before this page was done. */
  readonly isDone: boolean;
};

/** The rooms of the console, in the order in which they stand; each has its page at `/console/NAME`. */
export const rooms = [
  "overview",
  "calls",
  "accounts",
  "agents",
  "tools",
  "approvals",
  "alerts",
  "audit",
  "check",
  "settings",
] as const satisfies readonly ConsoleWord[];
export type Room = (typeof rooms)[number] | "peers";

const style = `
:root{color-scheme:light dark;--line:light-dark(#d9dce3,#343a46);--soft:light-dark(#f4f5f8,#1c2028);--ground:light-dark(#fff,#14171d);--text:light-dark(#1b1f27,#e4e7ec);--quiet:light-dark(#5a6170,#a3abba);--accent:light-dark(#2456c7,#9db8ff);--button:#2456c7;--on-button:#fff;--good:light-dark(#1b7a43,#6fd19b);--warn:light-dark(#9a4a00,#ffb066);--bad:light-dark(#b3261e,#ff9a92)}
*{box-sizing:border-box}
html{background:var(--ground);color:var(--text)}
body{font:14px/1.45 system-ui,sans-serif;margin:0;overflow-wrap:anywhere}
a{color:var(--accent)}
header{border-bottom:1px solid var(--line);background:var(--soft)}
header>div,main{max-width:88rem;margin:0 auto;padding:0 1rem}
header>div{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem .9rem;min-height:3rem}
nav{display:flex;flex-wrap:wrap;gap:.1rem;flex:1 1 auto}
nav a{padding:.55rem .45rem;text-decoration:none;color:inherit;border-bottom:2px solid transparent}
.who{display:flex;align-items:center;gap:.6rem;margin-left:auto}nav a:hover{background:var(--line)}nav a[aria-current]{border-color:var(--accent);color:var(--accent);font-weight:600}
h1{font-size:1.35rem;margin:1.1rem 0 .6rem}h2{font-size:1rem;margin:1.6rem 0 .5rem}h3{font-size:.95rem;margin:1rem 0 .3rem}
.quiet{color:var(--quiet)}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td,tbody tr:last-child th{border-bottom:0}.card+.card{margin-top:.8rem}.cards .card,.charts .card{margin-top:0}tbody tr:hover{background:var(--soft)}
th{font-weight:600;color:var(--quiet);white-space:nowrap;background:var(--soft)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td time,td:last-child>a{white-space:nowrap}
table.facts th{width:14rem;font-weight:400;background:none;color:inherit}
code,pre,td.code{font:12.5px/1.5 ui-monospace,monospace}
pre{border:1px solid var(--line);border-radius:.4rem;background:var(--soft);padding:.6rem .8rem;margin:.3rem 0;overflow-x:auto;white-space:pre-wrap}
.diff{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:.6rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;min-width:0}
.card h2{margin:0 0 .4rem}.card ul{margin:.2rem 0;padding:0;list-style:none}.card li{padding:.15rem 0}
.wide{grid-column:1/-1}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:.8rem}
figure{margin:0}svg{display:block;width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--quiet)}
.grid{stroke:var(--line);stroke-width:1;fill:none}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}.one{stroke:var(--accent)}.two{stroke:var(--warn)}.three{stroke:var(--bad)}
.area{stroke:none;fill:var(--accent);opacity:.12}
.key{display:inline-block;width:.8rem;height:.2rem;vertical-align:middle;margin:0 .3rem 0 .6rem}.key.one{background:var(--accent)}.key.two{background:var(--warn)}.key.three{background:var(--bad)}
form{display:inline}form.filter{display:flex;flex-wrap:wrap;gap:.5rem .8rem;align-items:end;margin:.4rem 0 .8rem}
label{display:block;color:var(--quiet);font-size:.85rem}
input,select{font:inherit;color:inherit;background:var(--ground);border:1px solid light-dark(#767c8a,#7c8494);border-radius:.3rem;padding:.3rem .5rem;max-width:100%}
input[type=checkbox]{margin:0 .3rem 0 0}
button,a.button{font:inherit;font-size:.9rem;padding:.3rem .7rem;border:1px solid var(--button);border-radius:.3rem;background:var(--button);color:var(--on-button);cursor:pointer;text-decoration:none;display:inline-block}
button.plain,a.plain{background:none;color:inherit;border-color:light-dark(#767c8a,#7c8494)}
button.grave{background:#b3261e;border-color:#b3261e;color:#fff}.logo{height:1.8rem;width:auto}
.badge{display:inline-block;padding:0 .5rem;border:1px solid currentColor;border-radius:1rem;font-size:.8rem;white-space:nowrap}
.actions{white-space:nowrap}.actions form{margin-right:.3rem}
.notice{border-left:3px solid var(--good);background:var(--soft);padding:.5rem .8rem;margin:.6rem 0}
.notice.bad{border-color:var(--bad);color:inherit}
@media(max-width:48rem){header>div{padding:.5rem 1rem}nav{flex-wrap:nowrap;overflow-x:auto;max-width:100%}nav a{white-space:nowrap}nav a[aria-current]{order:-1}td{min-width:9rem}td.number{min-width:4rem}svg text{font-size:16px}}
:focus-visible{outline:3px solid var(--accent);outline-offset:1px}
footer{max-width:88rem;margin:1.5rem auto 2rem;padding:0 1rem;color:var(--quiet);font-size:.85rem}`;

/** The style with the operator's colour, if there is one. */
function styleOf(colour: string | undefined): string {
  if (colour === undefined) return style;
  return `${style}\n:root{--button:${colour};--on-button:${isLight(colour) ? "#000" : "#fff"}}`;
}

/** Whether black can be read on it better than white (WCAG 2.2, relative luminance). */
function isLight(colour: string): boolean {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}

const policies = new Map<string, string>();

/** Scripts and styles of ours alone; no frames, nothing from elsewhere. */
function policyFor(text: string): string {
  const known = policies.get(text);
  if (known !== undefined) return known;
  const styleHash = createHash("sha256").update(text).digest("base64");
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;
  policies.set(text, policy);
  return policy;
}

const headers = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
} as const;

/** A page of the console, with its script. Everything in `body` is escaped by the templates. */
export async function consolePage(
  { language, operator, hasPeers, brand, now, isDone }: View,
  shown: {
    readonly room: Room;
    readonly title?: string;
    readonly body: Markup;
    readonly status?: number;
  },
): Promise<Response> {
  const { room, title = told(language, room), body } = shown;
  const all: readonly Room[] = hasPeers ? [...rooms, "peers"] : rooms;
  const own = styleOf(brand.colour);
  const document = await html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · smartdash</title>
        <link rel="icon" href="data:," />
        ${raw(`<style>${own}</style>`)}
        <script src="/console/live.js" defer></script>
      </head>
      <body>
        <header>
          <div>
            ${brand.logo === undefined ? html`<b>smartdash</b>` : html`<img class="logo" src="${brand.logo}" alt="smartdash" />`}
            <nav aria-label="${told(language, "console")}">
              ${all.map((each) => roomLink(language, each, room))}
            </nav>
            <span class="who"
              ><span class="quiet"
                >${operator.subject} · ${told(language, `role_${operator.role}`)}</span
              >
              <form method="post" action="/console/leave">
                <input type="hidden" name="form_token" value="${operator.formToken}" />
                <button class="plain">${told(language, "leave")}</button>
              </form></span
            >
          </div>
        </header>
        <main>
          <h1>${title}</h1>
          ${isDone ? html`<p class="notice" role="status">${told(language, "done")}</p>` : ""}
          ${body}
        </main>
        <footer>${told(language, "changed_at")} ${timeAt(now)}</footer>
      </body>
    </html>`;
  const policy = { "content-security-policy": policyFor(own) };
  return new Response(document.toString(), {
    status: shown.status ?? 200,
    headers: { ...headers, ...policy },
  });
}

function roomLink(language: Language, room: Room, current: Room): Markup {
  return html`<a href="/console/${room}" ${room === current ? raw('aria-current="page"') : ""}
    >${told(language, room)}</a
  >`;
}

/** A moment in UTC; the script shows it in the reader's zone, with this one on hover. */
export function timeAt(at: Date | null | undefined): Markup | "" {
  if (at === null || at === undefined) return "";
  const text = at.toISOString();
  return html`<time datetime="${text}" title="${text}"
    >${text.slice(0, 19).replace("T", " ")} UTC</time
  >`;
}

/** A column of a table: its heading, and whether it holds numbers. */
export type Column = { readonly heading: string; readonly isNumber?: boolean };

/** Headings of a table, in the reader's language. */
export function headings(language: Language, ...words: readonly ConsoleWord[]): readonly string[] {
  return words.map((word) => told(language, word));
}

/** A sentence whose commands stand between backticks. */
export function withCode(sentence: string): Markup {
  const parts = sentence.split("`");
  return html`${parts.map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

/** Where a list goes on; nothing at its end. */
export function nextPage(
  { language }: View,
  href: string | undefined,
  word: "next_page" | "older" = "next_page",
): Markup | "" {
  if (href === undefined) return "";
  return html`<p><a class="button plain" href="${href}">${told(language, word)}</a></p>`;
}

/** Says that a list which holds `most` rows may have more of them. */
export function cutNote({ language }: View, rows: readonly unknown[], most: number): Markup | "" {
  if (rows.length < most) return "";
  return html`<p class="quiet">${told(language, "list_cut", { count: most })}</p>`;
}

type Cell = Markup | string | number | null | undefined;

/** Rows under headings; `empty` in their place where there are none, unless rows may still come. Texts are shown with what is hidden in them. */
export function tableOf(
  columns: readonly (Column | string)[],
  rows: readonly (readonly Cell[])[],
  empty: string | undefined,
): Markup {
  if (rows.length === 0 && empty !== undefined)
    return html`<p class="quiet">${withCode(empty)}</p>`;
  const all = columns.map((each) => (typeof each === "string" ? { heading: each } : each));
  return html`<div class="scroll" tabindex="0" role="group">
    <table>
      <thead>
        <tr>
          ${all.map((each) => html`<th scope="col" class="${classOf(each)}">${each.heading}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (cells) =>
            html`<tr>
              ${cells.map((cell, at) => html`<td class="${classOf(all[at])}">${typeof cell === "string" ? plain(cell) : (cell ?? "")}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** What is known about one thing: names and values. What is null is left out. */
export function factsOf(facts: readonly (readonly [name: string, value: unknown])[]): Markup {
  const rows = facts.filter(([, value]) => value !== null && value !== undefined);
  return html`<div class="scroll">
    <table class="facts">
      <tbody>
        ${rows.map(
          ([name, value]) =>
            html`<tr>
              <th scope="row"><code>${name}</code></th>
              <td>${value instanceof Date ? timeAt(value) : plain(String(value))}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function classOf(column: Column | undefined): string {
  return column?.isNumber === true ? "number" : "";
}

/** A button that changes something: a form of its own. An auditor gets none. */
export function actionButton(
  { operator }: View,
  button: {
    readonly action: string;
    readonly label: string;
    /** What the button is about, for whoever hears the page. */
    readonly about?: string;
    readonly fields?: Readonly<Record<string, string>>;
    readonly kind?: "plain" | "grave";
  },
): Markup | "" {
  if (operator.role !== "operator") return "";
  const { action, label, about, fields = {}, kind = "plain" } = button;
  const name = about === undefined ? label : `${label}: ${plain(about)}`;
  return html`<form method="post" action="${action}">
    <input type="hidden" name="form_token" value="${operator.formToken}" />
    ${Object.entries(fields).map(
      ([field, value]) => html`<input type="hidden" name="${field}" value="${value}" />`,
    )}
    <button class="${kind}" aria-label="${name}">${label}</button>
  </form>`;
}

/** A word for a state, in the colour of how good it is. */
export function badge(text: string, mood: "good" | "warn" | "bad" | "quiet"): Markup {
  return html`<span class="badge ${mood}">${text}</span>`;
}
