import { Failure, asFailure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { languageOf } from "#src/http/language.ts";
import { noting } from "#src/operations/operator-actions.ts";
import { type Operator, expectOperator, operatorAt } from "#src/people/operators.ts";
import type { ConsoleDeps } from "./deps.ts";
import { failureInConsole } from "./failure.ts";
import type { View } from "./layout.ts";

/** A page of the console, for operators and auditors alike. Failures: `review_link_needed`. */
export function look(
  routes: PageRoutes,
  app: ConsoleDeps,
  path: string,
  show: (
    view: View,
    asked: { readonly request: Request; readonly query: URLSearchParams; readonly id: string },
  ) => Promise<Response>,
): void {
  routes.get(path, async ({ req, env }) => {
    const operator = await operatorAt(app, req.raw);
    const query = new URL(req.url).searchParams;
    const asked = { request: req.raw, query, id: req.param("id") ?? "" };
    const view = viewOf(app, req.raw, operator);
    return await orInWords(app, { request: req.raw, view, requestId: env.requestId }, async () => {
      refuseNul(query);
      return await show(view, asked);
    });
  });
}

/** What went wrong, on a page of the console for whoever looks at one: the way on is there. */
async function orInWords(
  app: ConsoleDeps,
  { request, view, requestId }: { request: Request; view: View; requestId: string },
  work: () => Promise<Response>,
): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    const failure = asFailure(error);
    const isRead = request.headers.get("accept")?.includes("text/html") === true;
    if (failure.code === "internal" || !isRead) throw error;
    app.log.info("page_refused", { requestId, code: failure.code });
    return await failureInConsole(view, failure, {
      path: new URL(request.url).pathname,
      requestId,
    });
  }
}

/** PostgreSQL takes no NUL. Failures: `form_refused`. */
function refuseNul(fields: URLSearchParams): void {
  if ([...fields.values()].some((value) => value.includes("\0"))) throw new Failure("form_refused");
}

function viewOf({ config, now }: ConsoleDeps, request: Request, operator: Operator): View {
  return {
    language: languageOf(request),
    operator,
    hasPeers: config.edge.isOn,
    brand: config.brand,
    now: now(),
    isDone: new URL(request.url).searchParams.has("done"),
  };
}

/** What a form of the console says, and who has sent it. */
export type Sent = {
  readonly view: View;
  readonly operator: Operator;
  /** For records of the operation: `console:SUBJECT`. */
  readonly by: string;
  readonly form: URLSearchParams;
  /** Of the path, where it has one. */
  readonly id: string;
  readonly requestId: string;
  /** Writes down what is about to be done: what cannot be written down is not done. */
  readonly note: (action: string, about: string) => Promise<void>;
};

/** A button of the console: an operator's alone. Failures: `review_link_needed`, `form_refused`, `operator_needed`. */
export function change(
  routes: PageRoutes,
  app: ConsoleDeps,
  path: string,
  act: (sent: Sent) => Promise<Response>,
): void {
  routes.post(path, async ({ req, env }) => {
    const form = await readForm(req.raw);
    const operator = await expectOperator(app, req.raw, form);
    const view = viewOf(app, req.raw, operator);
    const by = `console:${operator.subject}`;
    const { requestId } = env;
    return await orInWords(app, { request: req.raw, view, requestId }, async () => {
      refuseNul(form);
      const answer = await noting(app, { actor: operator.subject, path }, (note) =>
        act({ view, operator, by, form, id: req.param("id") ?? "", requestId, note }),
      );
      return saidDone(answer);
    });
  });
}

/** The page that a button leads to says that it was done. */
function saidDone(answer: Response): Response {
  const to = answer.headers.get("location");
  if (to === null) return answer;
  const [address = "", place] = to.split("#");
  const marked = `${address}${address.includes("?") ? "&" : "?"}done`;
  answer.headers.set("location", place === undefined ? marked : `${marked}#${place}`);
  return answer;
}
