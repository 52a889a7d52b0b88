import { localFetch } from "./self-test/visitor.ts";
import { createHmac } from "node:crypto";
import { openColumn } from "#src/accounts/credential.ts";
import { accountById } from "#src/accounts/store.ts";
import { formsOf } from "#src/telemetry/find-secrets.ts";
import { testAlerts } from "#src/operations/alerts/alerts.ts";
import type { SelfTestDeps } from "./calls.ts";
import { type CheckResult, pass, problem } from "./result.ts";

/** Chapter 5: an alert reaches its receiver, signed. */
export async function alertsArrive(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const [sent] = await testAlerts(world.app);
  const received = world.alerts.received.at(-1);
  if (sent?.isTaken !== true || received === undefined) {
    return [
      problem("alert_not_delivered", `The receiver of this check got nothing (${sent?.reason})`),
    ];
  }
  const { headers, body } = received;
  const id = headers.get("webhook-id") ?? "";
  const seconds = headers.get("webhook-timestamp") ?? "";
  const key = Buffer.from(
    (world.secrets["ALERT_WEBHOOK_SECRET"] ?? "").slice("whsec_".length),
    "base64",
  );
  const wanted = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  const isSigned = headers.get("webhook-signature") === `v1,${wanted}`;
  return isSigned
    ? [pass(5, "alert_delivery", "A test alert arrived at a receiver, and its signature is right")]
    : [problem("alert_not_delivered", "The alert that arrived was not signed as it must be")];
}

/** Chapter 5: what was a secret in all that went before stands in no log, metric, page, answer or alert. */
export async function canariesSilent(world: SelfTestDeps): Promise<readonly CheckResult[]> {
  const { app, connected, url, secrets } = world;
  const account = await accountById(app.db, connected.accountId);
  if (account === undefined) throw new Error("the account of the rehearsal is gone");
  const stored = {
    "access token": openColumn(app, account, "accessToken").reveal(),
    ...(account.refreshToken === null
      ? {}
      : { "refresh token": openColumn(app, account, "refreshToken").reveal() }),
  };
  const canaries = { ...secrets, ...stored, bearer: connected.bearer };
  const bearer = { authorization: `Bearer ${secrets["METRICS_TOKEN"]}` };
  const texts = await Promise.all([
    localFetch(`${url}/metrics`, { headers: bearer }).then((answer) => shown(answer, 200)),
    localFetch(`${url}/health`).then((answer) => shown(answer, 200)),
    connected.visitor.get(`${url}/`).then((answer) => shown(answer, 200)),
    connected.visitor
      .get(`${url}/auth/callback?state=x&code=y`)
      .then((answer) => shown(answer, 400)),
  ]);
  const [metrics, ...pages] = texts;
  const sinks = {
    log: world.log(),
    metrics,
    pages: pages.join("\n"),
    alerts: world.alerts.received.map(({ body }) => body).join("\n"),
  };
  const leaks = Object.entries(canaries).flatMap(([name, secret]) =>
    Object.entries(sinks).flatMap(([sink, text]) =>
      formsOf(secret).some((form) => text.includes(form)) ? [`${name} in ${sink}`] : [],
    ),
  );
  if (leaks.length > 0) return leaks.map((leak) => problem("secret_leaked", `Found: ${leak}`));
  const count = Object.keys(canaries).length;
  return [pass(5, "canaries", `${count} planted secrets stand in no log, metric, page or alert`)];
}

/** A page that is not shown has no secret in it, which proves nothing. */
async function shown(answer: Response, wanted: number): Promise<string> {
  const text = await answer.text();
  if (answer.status === wanted) return text;
  throw new Error(`${new URL(answer.url).pathname} answers ${answer.status}`);
}
