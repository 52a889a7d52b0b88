const commands = {
  serve: () => import("./commands/serve.ts").then((file) => file.serve),
  demo: () => import("./commands/demo.ts").then((file) => file.demo),
  check: () => import("./commands/check.ts").then((file) => file.check),
  health: () => import("./commands/health.ts").then((file) => file.health),
  status: () => import("./commands/health.ts").then((file) => file.status),
  migrate: () => import("./commands/migrate.ts").then((file) => file.migrate),
  cleanup: () => import("./commands/cleanup.ts").then((file) => file.cleanup),
  refresh: () => import("./commands/refresh.ts").then((file) => file.refresh),
  revoke: () => import("./commands/revoke.ts").then((file) => file.revoke),
  console: () => import("./commands/console.ts").then((file) => file.consoleCommand),
  switch: () => import("./commands/switch.ts").then((file) => file.switchCommand),
  tools: () => import("./commands/tools.ts").then((file) => file.tools),
  approvals: () => import("./commands/approvals.ts").then((file) => file.approvals),
  calls: () => import("./commands/calls.ts").then((file) => file.calls),
  budgets: () => import("./commands/budgets.ts").then((file) => file.budgets),
  invite: () => import("./commands/invite.ts").then((file) => file.invite),
  accounts: () => import("./commands/accounts.ts").then((file) => file.accounts),
  agents: () => import("./commands/agents.ts").then((file) => file.agents),
  providers: () => import("./commands/providers.ts").then((file) => file.providers),
  keys: () => import("./commands/keys.ts").then((file) => file.keys),
  alerts: () => import("./commands/alerts.ts").then((file) => file.alerts),
  "client-config": () =>
    import("./commands/client-config.ts").then((file) => file.clientConfiguration),
  import: () => import("./commands/import.ts").then((file) => file.importing),
  peers: () => import("./commands/peers.ts").then((file) => file.peers),
  discovery: () => import("./commands/discovery.ts").then((file) => file.discovery),
  node: () => import("./commands/node.ts").then((file) => file.node),
  logs: () => import("./commands/logs.ts").then((file) => file.logs),
  licenses: () => import("./commands/licenses.ts").then((file) => file.licenses),
  bundle: () => import("./commands/bundle.ts").then((file) => file.bundle),
} as const;

/** Every subcommand, loaded when it is used. */
export const subCommands = {
  ...commands,
  complete: () => import("./commands/complete.ts").then((file) => file.completeFor(commands)),
} as const;
