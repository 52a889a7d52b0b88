/** How one MCP client is told about an upstream. */
type ClientConfiguration = {
  readonly client: string;
  /** The file; undefined for a command in the shell. */
  readonly where: string | undefined;
  readonly text: string;
};

type Target = {
  readonly name: string;
  readonly url: string;
  /** Undefined for clients that sign in by themselves (OAuth). */
  readonly bearer: string | undefined;
};

/** Ready to paste; with a bearer for clients that take a fixed header. Docs in the vendors' own pages. */
export function clientConfigurations(target: Target): readonly ClientConfiguration[] {
  const { name, url, bearer } = target;
  const headers = bearer === undefined ? {} : { headers: { Authorization: `Bearer ${bearer}` } };
  const header = bearer === undefined ? "" : ` --header "Authorization: Bearer ${bearer}"`;
  const json = (value: unknown) => JSON.stringify(value, null, 2);
  return [
    {
      client: "Antigravity",
      where: "~/.gemini/config/mcp_config.json",
      text: json({ mcpServers: { [name]: { serverUrl: url, ...headers } } }),
    },
    {
      client: "Claude Code",
      where: undefined,
      text: `claude mcp add --transport http ${name} ${url}${header}`,
    },
    {
      client: "Cursor",
      where: "~/.cursor/mcp.json",
      text: json({ mcpServers: { [name]: { url, ...headers } } }),
    },
    {
      client: "VS Code",
      where: ".vscode/mcp.json",
      text: json({ servers: { [name]: { type: "http", url, ...headers } } }),
    },
    {
      client: "Codex",
      where: "~/.codex/config.toml",
      text:
        bearer === undefined
          ? `[mcp_servers.${name}]\nurl = "${url}"`
          : `# shell: export SMARTDASH_BEARER=${bearer}\n[mcp_servers.${name}]\nurl = "${url}"\nbearer_token_env_var = "SMARTDASH_BEARER"`,
    },
    {
      client: "Gemini CLI",
      where: "~/.gemini/settings.json",
      text: json({ mcpServers: { [name]: { httpUrl: url, ...headers } } }),
    },
    {
      client: "curl",
      where: undefined,
      text: `curl ${url} -H "Authorization: Bearer ${bearer ?? "$BEARER"}" -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`,
    },
  ];
}

/** One click for clients that take a link to their own program. They sign in by themselves: no link ever has a bearer in it. */
export function installLinks({
  name,
  url,
}: Pick<Target, "name" | "url">): readonly { readonly client: string; readonly href: string }[] {
  const code = JSON.stringify({ name, type: "http", url });
  const cursor = Buffer.from(JSON.stringify({ url })).toString("base64");
  const query = `name=${encodeURIComponent(name)}&config=${encodeURIComponent(cursor)}`;
  return [
    { client: "VS Code", href: `vscode:mcp/install?${encodeURIComponent(code)}` },
    { client: "Cursor", href: `cursor://anysphere.cursor-deeplink/mcp/install?${query}` },
  ];
}
