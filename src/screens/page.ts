import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { type Failure } from "#src/failure.ts";
import { failureWords } from "./failure-words.ts";
import type { Language } from "./language.ts";
import { fill, say } from "./words.ts";

export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

const style = `
:root{color-scheme:light dark;--line:#8885;--soft:#8882;--accent:#2a6df4}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}
a.button,button{display:inline-block;font:inherit;padding:.5rem .9rem;margin:.2rem .3rem .2rem 0;border:1px solid var(--accent);border-radius:.4rem;background:var(--accent);color:#fff;text-decoration:none;cursor:pointer}
button.quiet{background:none;color:inherit;border-color:var(--line)}
li{margin:.4rem 0}form{display:inline}
pre,output{display:block;overflow-x:auto;padding:.7rem;border:1px solid var(--line);border-radius:.4rem;background:var(--soft);font:13px/1.45 ui-monospace,monospace;user-select:all}
.note{color:#888}`;

const styleHash = createHash("sha256").update(style).digest("base64");

/** No scripts, no frames, nothing from elsewhere. */
const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // `no-referrer` would turn the Origin of our own forms into "null".
  "referrer-policy": "same-origin",
} as const;

type PageOptions = { readonly status?: number; readonly cookies?: readonly string[] };

/** A whole page. `title` and everything in `body` is escaped by the templates. */
export async function page(
  language: Language,
  title: string,
  body: Markup,
  options: PageOptions = {},
): Promise<Response> {
  const document = await html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · smartdash</title>
        <link rel="icon" href="data:," />
        <style>
          ${raw(style)}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${body}
      </body>
    </html>`;
  const headers = new Headers(pageHeaders);
  for (const cookie of options.cookies ?? []) headers.append("set-cookie", cookie);
  return new Response(document.toString(), { status: options.status ?? 200, headers });
}

/** What went wrong in the reader's language, its code, and a way on. */
export function failurePage(
  language: Language,
  failure: Failure,
  requestId: string,
): Promise<Response> {
  const words = failureWords[failure.code] ?? failureWords.internal;
  const text = fill(words?.[language] ?? failure.message, failure.details.values ?? {});
  const body = html`<p>${text}</p>
    <p><a class="button" href="${failure.details.link ?? "/"}">${say(language, "try_again")}</a></p>
    <p class="note">${say(language, "code")}: ${failure.code} · ${requestId}</p>`;
  return page(language, say(language, "went_wrong"), body, { status: failure.meaning.http });
}

/** Sends the browser on, with a GET (RFC 9110 section 15.4.4). */
export function seeOther(location: string, cookies: readonly string[] = []): Response {
  const headers = new Headers({
    location,
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
  });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}
