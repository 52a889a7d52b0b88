import type { App } from "#src/app.ts";
import type { PageRoutes } from "#src/http/page-routes.ts";
import { seeOther } from "#src/screens/page.ts";
import { acceptInvite } from "./sign-up.ts";

/** `/invite/:code`. */
export function mountPeople(routes: PageRoutes, app: App): void {
  routes.get("/invite/:code", async ({ req }) =>
    seeOther("/", [await acceptInvite(app, req.param("code"))]),
  );
}
