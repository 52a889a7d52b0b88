import { Failure } from "#src/failure.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { readForm } from "#src/http/forms.ts";
import { languageOf } from "#src/http/language.ts";
import { noting } from "#src/operations/operator-actions.ts";
import { type Operator, expectOperator, operatorAt } from "#src/people/operators.ts";
import type { ConsoleDeps } from "./deps.ts";
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
  routes.get(path, async ({ req }) => {
    const operator = await operatorAt(app, req.raw);
    const query = new URL(req.url).searchParams;
    refuseNul(query);
    const asked = { request: req.raw, query, id: req.param("id") ?? "" };
    return await show(viewOf(app, req.raw, operator), asked);
  });
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
    refuseNul(form);
    const operator = await expectOperator(app, req.raw, form);
    const view = viewOf(app, req.raw, operator);
    const by = `console:${operator.subject}`;
    return await noting(app, { actor: operator.subject, path }, (note) =>
      act({ view, operator, by, form, id: req.param("id") ?? "", requestId: env.requestId, note }),
    );
  });
}
