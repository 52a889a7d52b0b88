import { createCircuitBreaker } from "#src/accounts/circuit-breaker/circuit-breaker.ts";
import { connectable } from "#src/accounts/registration.ts";
import { type Tried, tryRegistration } from "#src/accounts/try-registration.ts";
import { command, group, withApp } from "../command.ts";
import { table } from "../terminal.ts";

const list = command({
  name: "providers list",
  description: "List supported providers, and which of them are configured",
  examples: ["smartdash providers list"],
  args: {},
  run: async () => {
    const providers = await withApp({ role: "command" }, (app) => {
      const configured = new Map(connectable(app).map((each) => [each.provider.name, each]));
      return Promise.resolve(
        [...app.catalog.providers.values()].map(({ name, title, refresh }) => ({
          name,
          title,
          isConfigured: configured.has(name),
          redirectUri: configured.get(name)?.redirectUri ?? null,
          usesPkce: configured.get(name)?.usesPkce ?? null,
          singleUseRefreshToken: refresh.singleUse,
        })),
      );
    });
    const rows = providers.map(({ name, title, isConfigured, redirectUri }) => [
      name,
      title,
      isConfigured ? "yes" : "no",
      redirectUri ?? "",
    ]);
    return {
      json: { providers },
      text: table(["provider", "title", "configured", "redirect URI"], rows),
    };
  },
});

const words: Readonly<Record<Tried["outcome"], string>> = {
  accepted: "knows this application",
  refused: "refuses this application: check its client id and secret",
  busy: "asks us to come back later",
  unclear: "answered something that says nothing about this application",
  unreachable: "cannot be reached",
};

const test = command({
  name: "providers test",
  description: "Test whether a provider accepts this application, and reopen its circuit if so",
  examples: ["smartdash providers test mercadolibre"],
  args: { provider: { type: "positional", required: true, description: "Its name" } },
  run: async ({ provider }) => {
    const tried = await withApp({ role: "command" }, async (app) => {
      const found = await tryRegistration(app, provider);
      // Gateways that were told otherwise ask again.
      if (found.outcome === "accepted")
        await createCircuitBreaker(app).answered(found.registration);
      return found;
    });
    const { outcome, code, status = null, milliseconds, registration } = tried;
    const { redirectUri } = registration;
    return {
      json: { provider, outcome, code, status, milliseconds, redirectUri },
      text: `${provider} ${words[outcome]} (${code}, ${milliseconds} ms)`,
      ...(outcome === "accepted" ? {} : { exit: outcome === "refused" ? 1 : 75 }),
    };
  },
});

export const providers = group({
  name: "providers",
  description: "List and test the providers of accounts",
  subCommands: { list, test },
});
