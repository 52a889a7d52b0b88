import { rm } from "node:fs/promises";
import { join } from "node:path";
import { debianProgram } from "#test/support/debian.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { untilListening } from "./listening.ts";

/** The real nginx, as README.md wants it, in front of gateways on loopback. */
export type Nginx = AsyncDisposable & {
  /** What it has logged of calls that did not go as they should. */
  troubles(): Promise<readonly string[]>;
};

/** A request that nginx had to take elsewhere was not harmed: nothing of it had been sent. */
const harmless = /connect\(\) failed \(111: .*\) while connecting to upstream/;

export async function startNginx(port: number, gateways: readonly number[]): Promise<Nginx> {
  const program = await debianProgram("nginx-light");
  const folder = await temporaryFolder();
  const config = join(folder, "nginx.conf");
  const errors = Bun.file(join(folder, "error.log"));
  await Bun.write(config, configuration(folder, port, gateways));
  const child = Bun.spawn(
    [program.path, "-p", folder, "-c", config, "-e", join(folder, "error.log")],
    { env: { ...process.env, ...program.environment }, stdio: ["ignore", "ignore", "ignore"] },
  );
  await untilListening(port, child, () => errors.text());
  return {
    async troubles() {
      const lines = (await errors.text()).split("\n");
      return lines.filter((line) => line.includes("upstream") && !harmless.test(line));
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * `max_fails=0`: a gateway that was away for a moment is asked again at once. By default nginx leaves it out for
 * ten seconds, and if the other one goes within these, nobody is left.
 */
function configuration(folder: string, port: number, gateways: readonly number[]): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path "${folder}/${kind}";`)
    .join("\n");
  const servers = gateways.map((at) => `    server 127.0.0.1:${at} max_fails=0;`).join("\n");
  return `daemon off;
master_process off;
worker_processes 1;
pid "${folder}/nginx.pid";
error_log "${folder}/error.log" info;
events { worker_connections 1024; }
http {
  access_log off;
${temporary}
  upstream gateways {
${servers}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 310s;
      client_max_body_size 5m;
    }
  }
}
`;
}
