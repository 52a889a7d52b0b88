import {
  type ConnectVisit,
  type Visitor,
  newVisitor,
  walkToCallback,
} from "#src/check/self-test/visitor.ts";

// The deployment's own check walks the same way.
export {
  type Visitor,
  locationOf,
  newVisitor,
  walkToCallback,
} from "#src/check/self-test/visitor.ts";

/** Connects a seller; the visitor is signed in afterwards. */
export async function connectSeller(visitor: Visitor, connecting: ConnectVisit): Promise<void> {
  const done = await visitor.get(await walkToCallback(visitor, connecting));
  if (done.status !== 303)
    throw new Error(`connecting ended with ${done.status}: ${await done.text()}`);
}

/** Creates a session on the page and reads the bearer from it. */
export async function mintBearer(visitor: Visitor, url: string, which = 0): Promise<string> {
  const home = await (await visitor.get(`${url}/`)).text();
  const form_token = /name="form_token" value="([^"]+)"/.exec(home)?.[1] ?? "";
  const account = [...home.matchAll(/name="account" value="([^"]+)"/g)][which]?.[1] ?? "";
  const page = await (await visitor.post(`${url}/sessions`, { form_token, account })).text();
  const bearer = /sd_ses_[\w-]+/.exec(page)?.[0];
  if (bearer === undefined) throw new Error("the page shows no bearer");
  return bearer;
}

/** A connected seller's bearer. */
export async function newBearer(connecting: ConnectVisit): Promise<string> {
  const visitor = newVisitor();
  await connectSeller(visitor, connecting);
  return mintBearer(visitor, connecting.url);
}
