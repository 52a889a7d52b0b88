import type { PageRoutes } from "#src/http/page-routes.ts";
import { mountActivity } from "./activity.ts";
import { mountApprovals } from "./approvals.ts";
import { type AuthorizeDeps, mountAuthorize } from "./authorize.ts";
import { type ConnectDeps, mountConnect } from "./connect.ts";
import { type DeviceDeps, mountDevice } from "./device.ts";
import { mountStopped } from "./guard-notes.ts";
import { type PermissionDeps, mountNarrow } from "./narrow.ts";
import { type PersonDeps, mountPerson } from "./person.ts";
import { mountEndQuestions } from "./end-questions.ts";
import { mountConsole } from "./console/routes.ts";
import type { ConsoleDeps } from "./console/deps.ts";
import { mountReview } from "./tool-review.ts";

type Deps = ConnectDeps & AuthorizeDeps & DeviceDeps & PersonDeps & ConsoleDeps & PermissionDeps;

/** Every page that people open, each with the routes that its buttons lead to. */
export function mountPages(routes: PageRoutes, app: Deps): void {
  mountPerson(routes, app);
  mountActivity(routes, app);
  mountNarrow(routes, app);
  mountEndQuestions(routes, app);
  mountConnect(routes, app);
  mountAuthorize(routes, app);
  mountDevice(routes, app);
  mountApprovals(routes, app);
  mountReview(routes, app);
  mountConsole(routes, app);
  mountStopped(routes, app);
}
