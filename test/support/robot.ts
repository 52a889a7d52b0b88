import type { App } from "#src/app.ts";
import {
  type AddedAgent,
  type OperatorAgent,
  addAgent,
} from "#src/oauth-server/clients/operator.ts";

/** An agent of the operator that proves itself with a secret and may do everything, but for what is said. */
export function addRobot(
  app: Pick<App, "db" | "now" | "catalog">,
  more: Partial<OperatorAgent> = {},
): Promise<AddedAgent> {
  return addAgent(app, {
    name: "Robot",
    redirectUris: [],
    isPublic: false,
    jwks: undefined,
    jwksUri: undefined,
    scope: "",
    agentType: undefined,
    agentVersion: undefined,
    upstreams: [],
    account: undefined,
    ...more,
  });
}
