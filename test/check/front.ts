import { rm } from "node:fs/promises";
import { join } from "node:path";
import { untilListening } from "#test/replicas/listening.ts";
import { debianProgram } from "#test/support/debian.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { freePort } from "#test/support/process.ts";

const certificates = join(import.meta.dir, "../http/certificates");
const deployed = join(import.meta.dir, "../../scripts/deploy/nginx.conf");

/** Certificates of the tests are trusted by whoever is started with this. */
export const trust = { NODE_EXTRA_CA_CERTS: join(certificates, "authority.pem") };

export type Front = AsyncDisposable & { readonly url: string };

/**
 * The real nginx in front of one gateway, with TLS, configured as scripts/deploy/nginx.conf has it but for what
 * `changed` replaces.
 */
export async function startFront(
  gateway: number,
  changed: (location: string) => string = (location) => location,
): Promise<Front> {
  const program = await debianProgram("nginx-light");
  const folder = await temporaryFolder();
  const port = await freePort();
  const file = join(folder, "nginx.conf");
  await Bun.write(file, await configuration({ folder, port, gateway, changed }));
  const child = Bun.spawn(
    [program.path, "-p", folder, "-c", file, "-e", join(folder, "error.log")],
    {
      env: { ...process.env, ...program.environment },
      stdio: ["ignore", "ignore", "ignore"],
    },
  );
  await untilListening(port, child, () => Bun.file(join(folder, "error.log")).text());
  return {
    url: `https://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Wanted = {
  readonly folder: string;
  readonly port: number;
  readonly gateway: number;
  readonly changed: (location: string) => string;
};

async function configuration({ folder, port, gateway, changed }: Wanted): Promise<string> {
  const text = await Bun.file(deployed).text();
  const server = changed(text)
    .replace(
      "listen 80;",
      `listen 127.0.0.1:${port} ssl;\n  ssl_certificate ${certificates}/localhost.pem;\n  ssl_certificate_key ${certificates}/localhost.key;`,
    )
    .replace("server gateway-1:8000", `server 127.0.0.1:${gateway}`)
    .replace(/server gateway-2:8000[^\n]*\n/, "");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path "${folder}/${kind}";`)
    .join("\n");
  return `daemon off;
master_process off;
worker_processes 1;
pid "${folder}/nginx.pid";
events { worker_connections 256; }
http {
  access_log off;
${temporary}
${server}
}
`;
}
