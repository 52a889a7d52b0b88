import { type Visitor, locationOf } from "#test/support/browser-like.ts";
import { formIn } from "#test/support/agent-like.ts";

/** The pages that a person met, in their order. */
type Page = "connect" | "login" | "consent";

type Walk = {
  readonly pages: readonly Page[];
  /** Where the browser was sent in the end; never opened. Undefined when a page of ours was the end. */
  readonly back: URL | undefined;
};

const mostSteps = 15;

type Visit = {
  readonly address: string;
  readonly redirectUri?: string;
  readonly decision?: "allow" | "deny";
};

/** A person opens an address of ours, signs in at the provider where that is asked, and decides: mostly yes. */
export async function personDecides(visitor: Visitor, asked: Visit): Promise<Walk> {
  const pages: Page[] = [];
  let address: string | undefined = asked.address;
  for (let step = 0; step < mostSteps; step += 1) {
    if (address === undefined) return { pages, back: undefined };
    if (isAnswerAt(asked.redirectUri, address)) return { pages, back: new URL(address) };
    const shown = await visitor.get(address);
    if (isRedirect(shown)) {
      address = whereTo(shown, address);
      continue;
    }
    const html = await shown.text();
    const page = pageIn(html);
    if (page === undefined) throw new Error(`${shown.status} at ${address}: ${html}`);
    pages.push(page);
    address =
      page === "connect"
        ? new URL(connectLinkIn(html), address).href
        : await send(visitor, { page, html, address, decision: asked.decision ?? "allow" });
  }
  throw new Error(`no end after ${pages.join(", ")}`);
}

/** Posts the form of a page. Undefined when a page of ours is the end. */
async function send(
  visitor: Visitor,
  form: { page: Page; html: string; address: string; decision: string },
): Promise<string | undefined> {
  const { page, html, address, decision } = form;
  const action = new URL(/<form[^>]* action="([^"]+)"/.exec(html)?.[1] ?? "", address).href;
  const said = page === "login" ? { seller: "100200300" } : { ...formIn(html), decision };
  const decided = await visitor.post(action, said);
  if (isRedirect(decided)) return whereTo(decided, address);
  if (decided.status === 200) return undefined;
  throw new Error(`${decided.status} after ${page}: ${await decided.text()}`);
}

function isAnswerAt(redirectUri: string | undefined, address: string): boolean {
  return redirectUri !== undefined && address.startsWith(`${redirectUri}?`);
}

function isRedirect({ status }: Response): boolean {
  return status === 302 || status === 303;
}

function whereTo(response: Response, base: string): string {
  const location = locationOf(response);
  // A private scheme is kept as it is written.
  return location.startsWith("/") ? new URL(location, base).href : location;
}

function pageIn(html: string): Page | undefined {
  if (html.includes('name="consent"')) return "consent";
  if (html.includes('name="seller"')) return "login";
  return html.includes("/auth/authorize?") ? "connect" : undefined;
}

function connectLinkIn(html: string): string {
  const link = /href="(\/auth\/authorize\?provider=mercadolibre[^"]*)"/.exec(html)?.[1];
  if (link === undefined) throw new Error(`no link to Mercado Libre: ${html}`);
  return link.replaceAll("&amp;", "&");
}
