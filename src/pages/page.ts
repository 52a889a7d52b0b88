import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Failure } from "#src/failure.ts";
import { failureWords } from "./failure-words.ts";
import type { Language } from "#src/http/language.ts";
import { fill, nameIn, say } from "./words.ts";
import type { Account } from "#src/accounts/store.ts";
import type { App } from "#src/app.ts";

export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

const style = `
:root{color-scheme:light dark;--line:#8885;--soft:#8881;--accent:#2456c7;--link:light-dark(#2456c7,#9db8ff);--edge:light-dark(#767676,#8a8a8a);--quiet:light-dark(#5c5c5c,#a8a8a8);--warn:light-dark(#9a4a00,#ffb066)}
html{background:Canvas}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:1.5rem auto 3rem;padding:0 1rem;overflow-wrap:anywhere}
a{color:var(--link)}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;overflow-wrap:anywhere}
a.button,button{display:inline-block;font:inherit;padding:.45rem .9rem;margin:.2rem .3rem .2rem 0;border:1px solid var(--accent);border-radius:.4rem;background:var(--accent);color:#fff;text-decoration:none;cursor:pointer}
a.quiet,button.quiet{background:none;color:inherit;border-color:var(--line)}
ul{list-style:none;padding:0}
li{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem .8rem;padding:.6rem .8rem;margin:.5rem 0;border:1px solid var(--line);border-radius:.5rem}
li>b,li>.grow{flex:1 1 12rem;overflow-wrap:anywhere}form{display:inline}
.badge{font-size:.85rem;padding:.1rem .6rem;border:1px solid var(--line);border-radius:1rem}.warn{color:var(--warn)}
pre,output{display:block;padding:.7rem;border:1px solid var(--line);border-radius:.4rem;background:var(--soft);font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
ul.plain{list-style:disc;padding-left:1.4rem}ul.plain li{display:list-item;border:0;padding:0;margin:.2rem 0}
form.block{display:block}fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0}.choice{display:flex;gap:.6rem;align-items:center;padding:.3rem 0}
legend{font-weight:bold}li button{margin-right:0}form.block label:not(.choice){display:block}
input[type=text]{display:block;font:1.2rem ui-monospace,monospace;padding:.4rem .6rem;margin:.3rem 0 .8rem;border:1px solid var(--edge);border-radius:.4rem;width:12rem;text-transform:uppercase}
.box{border-left:4px solid;padding:.5rem .8rem;background:var(--soft)}.code{font:bold 1.6rem ui-monospace,monospace;white-space:nowrap}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
details{margin:.4rem 0}summary{cursor:pointer}
.chart{display:block;flex:none;align-self:flex-start;margin-top:.3rem;max-width:100%}.chart .value{fill:var(--link)}.chart .extra{fill:var(--warn)}.chart .none{fill:var(--edge)}
.actions{flex:1 0 100%;display:flex;flex-wrap:wrap;align-items:center;gap:.2rem .8rem}.links{display:flex;flex-wrap:wrap;gap:.2rem .9rem}
.rows li{align-items:baseline;flex-wrap:nowrap;margin:0;padding:.45rem 0;border-width:0 0 1px;border-radius:0}.rows time{font-variant-numeric:tabular-nums}.rows .note{font-size:.9rem}.rows .ended{flex:0 0 13rem;display:flex;flex-direction:column;align-items:flex-end;text-align:right}
@media(max-width:34rem){.rows li{flex-wrap:wrap}.rows .ended{flex:1 0 100%;box-sizing:border-box;flex-flow:row wrap;align-items:baseline;column-gap:.6rem;padding-left:3.4rem;text-align:left}}
.filters{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem .8rem;align-items:end}.filters .wide{grid-column:1/-1}.filters button{justify-self:start;margin:0}
.filters select,.filters input[type=date]{display:block;box-sizing:border-box;width:100%;min-height:2.4rem;font:inherit;color:inherit;background:Canvas;padding:.35rem .5rem;border:1px solid var(--edge);border-radius:.4rem}
.note{color:var(--quiet)}`;

const styleHash = createHash("sha256").update(style).digest("base64");

/** No scripts, no frames, nothing from elsewhere. */
function policy(formTarget: string): string {
  return `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; form-action 'self'${formTarget}; base-uri 'none'; frame-ancestors 'none'`;
}

const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": policy(""),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // `no-referrer` would turn the Origin of our own forms into "null".
  "referrer-policy": "same-origin",
} as const;

type PageOptions = {
  readonly status?: number;
  readonly cookies?: readonly string[];
  /** Where a form's answer may lead, besides us: browsers hold redirects after a form to `form-action`. */
  readonly formTarget?: string;
  /** The page's address is nobody else's business; our own forms then come with `Origin: null`. */
  readonly isPrivate?: boolean;
};

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
        ${raw(`<style>${style}</style>`)}
      </head>
      <body>
        <header class="note">smartdash</header>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`;
  const headers = new Headers(pageHeaders);
  if (options.formTarget !== undefined) {
    headers.set("content-security-policy", policy(` ${options.formTarget}`));
  }
  if (options.isPrivate === true) headers.set("referrer-policy", "no-referrer");
  for (const cookie of options.cookies ?? []) headers.append("set-cookie", cookie);
  return new Response(document.toString(), { status: options.status ?? 200, headers });
}

/** What went wrong in the reader's language, its code, and a way on. */
export function failurePage(
  language: Language,
  failure: Failure,
  requestId: string,
): Promise<Response> {
  const words = failureWords[failure.details.wording ?? failure.code] ?? failureWords.internal;
  const text = fill(language, words?.[language] ?? failure.message, failure.details.values ?? {});
  const link = failure.details.link ?? "/";
  const body = html`<p>${text}</p>
    <p>
      <a class="button" href="${link}">${say(language, link === "/" ? "to_front" : "try_again")}</a>
    </p>
    <p class="note">${say(language, "code")}: ${failure.code} · ${requestId}</p>`;
  return page(language, say(language, "went_wrong"), body, { status: failure.meaning.http });
}

/** Sends the browser on, with a GET (RFC 9110 section 15.4.4). */
export function seeOther(location: string, cookies: readonly string[] = []): Response {
  const headers = new Headers({
    location,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
  });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}

/** An account as its person knows it: `Mercado Libre TIENDA_DEMO (MLA)`. */
export function accountName(
  app: Pick<App, "catalog">,
  language: Language,
  account: Account,
): string {
  const title = app.catalog.providers.get(account.provider)?.title ?? account.provider;
  const site = account.site === null ? "" : ` (${account.site})`;
  return `${nameIn(language, title)} ${account.label ?? account.sellerId}${site}`;
}
